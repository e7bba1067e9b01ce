"""Where a grant's money came from, who bills it, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from billing.domain.errors import NotFound
from billing.models import InvoiceLine, JournalEntry
from commits.domain.chain import GrantKind
from commits.models import Credit, Grant, TrueUp


@dataclass(frozen=True, slots=True)
class GrantStep:
    """The same money in one quarter, as booked: how much it was, and where it went."""

    id: int
    quarter: int
    commit: UUID
    kind: str
    amount: Decimal
    drawn: Decimal
    rolled_out: Decimal
    broken: Decimal
    returned: Decimal

    @property
    def remaining(self) -> Decimal:
        gone = self.drawn + self.rolled_out + self.broken + self.returned
        return self.amount - gone


@dataclass(frozen=True, slots=True)
class GrantExplanation:
    """A grant and the way of its money: from the quarter that it was granted in to here.

    `requested_by` and `approved_by` are those of a true-up or a credit; `invoice_lines` bill the
    money, `entries` granted it (credits and overage given back) or rolled it into this quarter.
    """

    id: int
    customer_id: int
    ref: str
    kind: str
    why: str
    created_at: datetime
    expires_at: datetime | None
    times_rolled: int
    way: tuple[GrantStep, ...]
    requested_by: str = ""
    approved_by: str = ""
    invoice: UUID | None = None
    invoice_lines: tuple[int, ...] = ()
    entries: tuple[int, ...] = ()


def explain_grant(*, id: int) -> GrantExplanation:
    """The way of a grant's money. Raises NotFound."""
    grant = Grant.objects.select_related("quarter__commit", "true_up").filter(pk=id).first()
    if grant is None:
        raise NotFound("unknown_grant", f"no grant {id}")
    quarter = grant.quarter
    same_money = Grant.objects.filter(
        ref=grant.ref, quarter__origin=quarter.origin_id, quarter__position__lte=quarter.position
    )
    way = tuple(
        _step(one) for one in same_money.select_related("quarter").order_by("quarter__position")
    )
    first = same_money.select_related("true_up", "quarter__commit").order_by("quarter__position")[0]
    why, asked, approved = _origin(first)
    lines = InvoiceLine.objects.filter(
        grant_ref=grant.ref,
        invoice__commit_id__in=_commits(first),
        kind__in=["instalment", "true_up"],
    ).order_by("pk")
    return GrantExplanation(
        id=grant.pk,
        customer_id=quarter.commit.customer_id,
        ref=grant.ref,
        kind=grant.kind,
        why=why,
        created_at=grant.created_at,
        expires_at=grant.expires_at,
        times_rolled=grant.times_rolled,
        way=way,
        requested_by=asked,
        approved_by=approved,
        invoice=first.invoice_id,
        invoice_lines=tuple(lines.values_list("pk", flat=True)),
        entries=_entries(grant, first),
    )


def _commits(grant: Grant) -> list[UUID]:
    """The commits whose invoices may bill the grant: all of the chain."""
    chain = Grant.objects.filter(quarter__origin=grant.quarter.origin_id)
    return list(chain.values_list("quarter__commit", flat=True).distinct())


def _step(grant: Grant) -> GrantStep:
    return GrantStep(
        grant.pk, grant.quarter.index, grant.quarter.commit_id, grant.kind, grant.amount,
        grant.drawn, grant.rolled_out, grant.broken, grant.returned,
    )  # fmt: skip


def _origin(grant: Grant) -> tuple[str, str, str]:
    """Why the money was granted first, who asked for it, and who approved."""
    quarter = grant.quarter
    if grant.kind == GrantKind.INSTALMENT:
        commit = quarter.commit
        grown = TrueUp.objects.filter(
            commit=commit, state="approved",
            from_quarter__lte=quarter.index, through_quarter__gte=quarter.index,
        ).count()  # fmt: skip
        signed = commit.instalments[quarter.index - 1]
        why = f"instalment of Q{quarter.index}, signed as ${signed:,}"
        if grant.amount != signed:
            why += f" and grown by {grown} approved true-up{'s' if grown != 1 else ''}"
        return why, commit.created_by, commit.activated_by
    if grant.true_up is not None:
        true_up = grant.true_up
        why = f"true-up of ${true_up.amount:,} for Q{quarter.index}"
        return why, true_up.requested_by, true_up.decided_by
    if grant.ref.startswith("credit:"):
        credit = Credit.objects.filter(pk=UUID(grant.ref.removeprefix("credit:"))).first()
        if credit is not None:
            return f"credit: {credit.reason}", credit.requested_by, credit.decided_by
    if grant.rolls_whole:
        return "overage that was invoiced and then taken back by the chain", "", ""
    return f"{grant.kind} of Q{quarter.index}", "", ""


def _entries(grant: Grant, first: Grant) -> tuple[int, ...]:
    """The entry that granted the money, and those that rolled it towards this quarter."""
    keys = []
    if first.ref.startswith("credit:"):
        keys.append(f"credit/{UUID(first.ref.removeprefix('credit:'))}")
    rolled = Grant.objects.filter(
        ref=grant.ref,
        quarter__origin=grant.quarter.origin_id,
        quarter__position__lt=grant.quarter.position,
    ).select_related("quarter")
    keys += [f"close.rollover/{one.quarter.commit_id}/{one.quarter.index}" for one in rolled]
    found = list(JournalEntry.objects.filter(key__in=keys).values_list("pk", flat=True))
    if first.rolls_whole:
        given = JournalEntry.objects.filter(
            code="overage.given_back", commit_id=first.quarter.commit_id, evidence__grant=first.ref
        )
        found += list(given.values_list("pk", flat=True))
    return tuple(sorted(found))
