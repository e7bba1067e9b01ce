"""The usage behind an invoice line: which close shared the overage, which entries booked it, and
the events of the line's own group (model, mode, meter, rate).

An overage line is a share of the exact overage of its quarter: the group's dollars over those of
all groups, as frozen when the close was approved. Late usage is shared likewise over what came
since the close before. The events are counted again, as of the entries that were booked by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.domain.money import ZERO
from billing.models import InvoiceLine, LineKind, Occasion, Posting
from commits.domain.close import CloseInputs, UsageGroup, inputs_from_json
from commits.models import Close, CloseState, Quarter
from commits.services.usage_entries import LATE, UsageEntry, last_cutoff, usage_entries
from metering.domain.rates import PriceKey
from metering.services.recount import NOTHING, Cutoff, Recount, UsageScope, recount


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry that booked usage of the line's quarter, with its postings."""

    id: int
    code: str
    usage_date: date | None
    drawn: Decimal
    overage: Decimal
    postings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FrozenShare:
    """How the close made the line. Dollars are exact; `quantity` is the group's at approval."""

    close: int
    digest: str
    approved_by: str
    approved_at: datetime | None
    overage: Decimal
    group_quantity: int
    group_dollars: Decimal
    all_dollars: Decimal


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """The usage that a line shares in: `recounted` is the line's group, or all of the quarter
    where the line has none. `agrees` is whether the events make the quantity that was frozen."""

    after: Cutoff
    through: Cutoff
    share: FrozenShare | None
    entries: tuple[BookedEntry, ...]
    recounted: Recount

    @property
    def agrees(self) -> bool | None:
        """None where the line has no group of its own or no close stands behind it."""
        if self.share is None or not self.share.group_quantity:
            return None
        return self.share.group_quantity == sum(g.quantity for g in self.recounted.groups)


def billed_usage(*, line: InvoiceLine, limit: int) -> BilledUsage | None:
    """The usage behind a line of overage or late usage; None if its quarter is not there."""
    close = _close_of(line)
    quarter = _quarter_of(line, close)
    if quarter is None:
        return None
    inputs = inputs_from_json(close.inputs) if close else None
    entries = usage_entries(quarter=quarter)
    if line.kind == LineKind.LATE_USAGE:
        before, mine = _late_entries(entries, quarter, close, line)
        groups = _late_groups(inputs, quarter.position)
    else:
        before, mine = [], [entry for entry in entries if entry.what != LATE]
        groups = inputs.groups if inputs and _is_own(inputs, quarter) else ()
    after = last_cutoff(before) if before else NOTHING
    through = last_cutoff(mine)
    key = PriceKey(line.model, line.mode, line.meter) if line.model else None
    found = recount(
        scope=UsageScope(quarter.usage_period_id, key=key, rate=line.rate if key else None),
        after=after,
        through=through,
        limit=limit,
    )
    return BilledUsage(after, through, _share(close, line, groups), _booked(mine), found)


def _close_of(line: InvoiceLine) -> Close | None:
    invoice = line.invoice
    if invoice.occasion != Occasion.CLOSE:
        return None
    return (
        Close.objects.filter(
            quarter__commit=invoice.commit_id,
            quarter__index=int(invoice.occasion_ref),
            state=CloseState.POSTED,
        )
        .select_related("quarter")
        .first()
    )


def _quarter_of(line: InvoiceLine, close: Close | None) -> Quarter | None:
    """The quarter whose usage the line bills, which may be of a commit before in the chain."""
    if close is not None:
        planned = close.plan["lines"]
        if 1 <= line.position <= len(planned):
            return Quarter.objects.filter(
                origin=close.quarter.origin_id, position=planned[line.position - 1]["position"]
            ).first()
    return Quarter.objects.filter(commit=line.invoice.commit_id, index=line.quarter_index).first()


def _is_own(inputs: CloseInputs, quarter: Quarter) -> bool:
    return inputs.quarters[-1].index == quarter.position


def _late_groups(inputs: CloseInputs | None, position: int) -> tuple[UsageGroup, ...]:
    earlier = inputs.earlier if inputs else ()
    found = next((item.late_groups for item in earlier if item.position == position), ())
    return tuple(group for group in found if group.quantity > 0)


def _late_entries(
    entries: Sequence[UsageEntry], quarter: Quarter, close: Close | None, line: InvoiceLine
) -> tuple[list[UsageEntry], list[UsageEntry]]:
    """What had been billed of the quarter before, and what came late and is billed here."""
    since = _billed_before(quarter, close)
    until = line.invoice.created_at
    if close is not None and close.approved_at is not None:
        until = close.approved_at
    before = [e for e in entries if e.what != LATE or (since and e.booked_at <= since)]
    known = {entry.id for entry in before}
    return before, [e for e in entries if e.id not in known and e.booked_at <= until]


def _billed_before(quarter: Quarter, close: Close | None) -> datetime | None:
    """When the last close before this one was approved that billed late usage of the quarter."""
    if close is None:
        return None
    between = Close.objects.filter(
        quarter__origin=quarter.origin_id,
        quarter__position__gt=quarter.position,
        quarter__position__lt=close.quarter.position,
        state=CloseState.POSTED,
    )
    for one in between.order_by("-quarter__position"):
        billed = one.plan["lines"] or not one.plan["carried_cents"]
        if billed and _late_groups(inputs_from_json(one.inputs), quarter.position):
            return one.approved_at
    return None


def _share(
    close: Close | None, line: InvoiceLine, groups: Sequence[UsageGroup]
) -> FrozenShare | None:
    if close is None:
        return None
    mine = next(
        (
            group
            for group in groups
            if (group.model, group.mode, group.meter, group.rate)
            == (line.model, line.mode, line.meter, line.rate)
        ),
        None,
    )
    return FrozenShare(
        close=close.pk,
        digest=close.digest,
        approved_by=close.approved_by,
        approved_at=close.approved_at,
        overage=Decimal(close.plan["overage"]),
        group_quantity=mine.quantity if mine else 0,
        group_dollars=mine.amount if mine else ZERO,
        all_dollars=sum((group.amount for group in groups), ZERO),
    )


def _booked(entries: Sequence[UsageEntry]) -> tuple[BookedEntry, ...]:
    postings: dict[int, list[int]] = {entry.id: [] for entry in entries}
    rows = Posting.objects.filter(entry__in=list(postings)).order_by("pk")
    for entry_id, pk in rows.values_list("entry_id", "pk"):
        postings[entry_id].append(pk)
    return tuple(
        BookedEntry(
            one.id, one.code, one.usage_date, one.drawn, one.overage, tuple(postings[one.id])
        )
        for one in entries
    )
