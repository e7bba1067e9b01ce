"""Booking usage: the journal follows the chain by the difference between what it says and holds.

One rule covers drawdown, overage, money that arrives late, voids and late usage: compute the
chain's figures, subtract what is booked, post the difference. Running it twice posts nothing the
second time; dying before the commit leaves nothing behind.

Usage of an unposted quarter is booked by UTC day. Usage of a posted quarter is booked as one
difference per quarter of origin, in the open quarter; its own books do not change. While a close
is approved, the quarters up to it stand still: what came later is booked after the post.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from billing.domain.journal import (
    Entry,
    EntryCode,
    Scope,
    given_back_moves,
    late_moves,
    postings_of,
    usage_code,
    usage_moves,
)
from billing.domain.money import ZERO
from billing.services import ledger
from commits.domain.chain import GrantKind, QuarterFigures, UsageSlice, run_chain
from commits.domain.close import give_back
from commits.models import BookedDay, Commit, Grant, Quarter, QuarterState
from commits.services.chains import (
    ChainState,
    booked_slices,
    load_chains,
    quarter_inputs,
    unbilled_overage,
)
from commits.services.grants import project_grants
from metering.services import totals


@dataclass(frozen=True, slots=True)
class DayMove:
    """A UTC day of usage: dollars booked so far, and dollars as metering has them."""

    day: date
    booked: Decimal
    live: Decimal


@dataclass(slots=True)
class Booking:
    """What one run will write: collected for many chains, then written set-based."""

    now: datetime
    entries: list[Entry] = field(default_factory=list)
    days: list[BookedDay] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    quarters: dict[int, Quarter] = field(default_factory=dict)
    origins: dict[UUID, Commit] = field(default_factory=dict)

    def touch(self, quarter: Quarter) -> None:
        """Remember that this quarter's booked figures have changed."""
        self.quarters[quarter.pk] = quarter


def sync_books(*, origin_ids: Iterable[UUID], now: datetime) -> int:
    """Book all usage of these chains that is not in the journal yet. Returns entries posted.

    One database transaction, which takes the chains' locks. Idempotent.
    """
    with transaction.atomic():
        states = load_chains(origin_ids=origin_ids, lock=True)
        booking = book_chains(states.values(), now)
        write_booking(booking)
    return len(booking.entries)


def book_chains(states: Iterable[ChainState], now: datetime) -> Booking:
    """Work out the difference for chains loaded under lock; `write_booking` writes it."""
    states = list(states)
    booking = Booking(now)
    pending = _pending_days(states)
    for state in states:
        state.origin.book_runs += 1
        before = len(booking.entries)
        usage = _book_late(state, booking)
        figures = _book_unposted(state, booking, usage, pending)
        changed = len(booking.entries) > before
        if changed:
            booking.grants += project_grants(state, figures, booking.now)
        if changed or state.origin.booked_seq != state.ingest_seq:
            state.origin.booked_seq = state.ingest_seq
            booking.origins[state.origin.pk] = state.origin
        else:
            state.origin.book_runs -= 1
    return booking


def write_booking(booking: Booking) -> None:
    """Write entries and what has been booked; inside the caller's transaction."""
    ledger.post_entries(entries=booking.entries, now=booking.now)
    BookedDay.objects.bulk_create(
        booking.days,
        update_conflicts=True,
        unique_fields=["quarter", "day"],
        update_fields=["amount"],
    )
    new = [grant for grant in booking.grants if grant.pk is None]
    Grant.objects.bulk_create(new)
    Grant.objects.bulk_update(
        [grant for grant in booking.grants if grant not in new],
        ["amount", "drawn", "rolled_out", "broken", "draw_place"],
        batch_size=500,
    )
    Quarter.objects.bulk_update(booking.quarters.values(), QUARTER_FIELDS, batch_size=500)
    Commit.objects.bulk_update(
        booking.origins.values(), ["book_runs", "booked_seq"], batch_size=500
    )


QUARTER_FIELDS = [
    "booked_drawn",
    "booked_overage",
    "booked_rolled_in",
    "booked_rolled_out",
    "booked_breakage_paid",
    "booked_breakage_credit",
    "booked_usage",
    "overage_given_back",
]


def frozen_through(state: ChainState) -> int:
    """The position up to which an approved close holds the chain still (0: none)."""
    current = state.open_quarter
    return current.position if current and current.state == QuarterState.APPROVED else 0


def booked_view(state: ChainState) -> dict[int, tuple[UsageSlice, ...]]:
    """Usage by position as the journal has it."""
    return {quarter.position: booked_slices(quarter) for quarter in state.quarters}


def usage_as_json(slices: Sequence[UsageSlice]) -> list[list[str | None]]:
    """Usage slices as a quarter stores them."""
    return [
        [piece.until.isoformat() if piece.until else None, str(piece.amount)] for piece in slices
    ]


def _has_moved(state: ChainState, quarter: Quarter) -> bool:
    """Whether an unposted, unfrozen quarter may have days that are not booked as they are."""
    if quarter.state not in (QuarterState.OPEN, QuarterState.PLANNED):
        return False
    booked = quarter.booked_drawn + quarter.booked_overage
    return (
        _total(state.live[quarter.position]) != booked
        or state.origin.booked_seq != state.ingest_seq
    )


def _pending_days(states: Sequence[ChainState]) -> dict[int, list[DayMove]]:
    """Per unposted quarter whose usage moved: its days whose amount is not what is booked."""
    moved = {
        quarter.usage_period_id: quarter
        for state in states
        for quarter in state.quarters
        if _has_moved(state, quarter)
    }
    if not moved:
        return {}
    booked: dict[int, dict[date, Decimal]] = defaultdict(dict)
    ids = [quarter.pk for quarter in moved.values()]
    for row in BookedDay.objects.filter(quarter__in=ids):
        booked[row.quarter_id][row.day] = row.amount
    live = totals.day_amounts(period_ids=list(moved))
    pending: dict[int, list[DayMove]] = {}
    for period_id, quarter in moved.items():
        before, after = booked[quarter.pk], live.get(period_id, {})
        pending[quarter.pk] = [
            DayMove(day, before.get(day, ZERO), after.get(day, ZERO))
            for day in sorted(before.keys() | after.keys())
            if before.get(day, ZERO) != after.get(day, ZERO)
        ]
    return pending


def _total(slices: Sequence[UsageSlice]) -> Decimal:
    return sum((piece.amount for piece in slices), ZERO)


def _key(state: ChainState, quarter: Quarter, what: str) -> str:
    return f"usage/{state.origin.pk}/{state.origin.book_runs}/{quarter.position}/{what}"


def _book_late(state: ChainState, booking: Booking) -> dict[int, tuple[UsageSlice, ...]]:
    """Book differences of posted quarters, one quarter of origin after the other.

    Returns the usage that the books hold afterwards, by position.
    """
    usage = booked_view(state)
    posted = [quarter for quarter in state.quarters if quarter.state == QuarterState.POSTED]
    late = [q for q in posted if state.live[q.position] != usage[q.position]]
    if frozen_through(state) or state.open_quarter is None or not late:
        return usage
    overage_before = {quarter.position: quarter.booked_overage for quarter in posted}
    unbilled_before = unbilled_overage(posted)
    for quarter in late:
        before = run_chain(quarter_inputs(state, usage))
        usage[quarter.position] = state.live[quarter.position]
        after = run_chain(quarter_inputs(state, usage))
        _book_difference(state, booking, quarter, before, after)
        quarter.booked_usage = usage_as_json(usage[quarter.position])
        booking.touch(quarter)
    fallen = {q: overage_before[q.position] - q.booked_overage for q in posted}
    back = give_back(reduction=sum(fallen.values(), ZERO), unbilled=unbilled_before)
    if back:
        _give_back(state, booking, fallen, back)
    return usage


def _book_difference(
    state: ChainState,
    booking: Booking,
    origin: Quarter,
    before: Sequence[QuarterFigures],
    after: Sequence[QuarterFigures],
) -> None:
    """Post what late usage of one posted quarter changes, in the open quarter.

    Conservation: late amount = balance drawn + extra overage + breakage undone.
    """
    current = state.open_quarter
    if current is None:
        return
    drawn = overage = paid = credit = ZERO
    for quarter in state.quarters:
        if quarter.state != QuarterState.POSTED:
            continue
        old, new = before[quarter.position - 1], after[quarter.position - 1]
        drawn += new.drawn - old.drawn
        overage += new.overage - old.overage
        paid += new.breakage_paid - old.breakage_paid
        credit += new.breakage_credit - old.breakage_credit
        record_booked(quarter, new)
        booking.touch(quarter)
    rolled_in = after[current.position - 1].rolled_in - before[current.position - 1].rolled_in
    commit = state.commit_of(current)
    scope = Scope(commit.customer_id, commit.pk)
    postings = postings_of(
        scope, *late_moves(current.index, rolled_in, drawn, overage, paid, credit)
    )
    if not postings:
        return
    posted_on = (origin.posted_at or booking.now).astimezone(UTC).date()
    booking.entries.append(
        Entry(
            key=_key(state, origin, "late"),
            code=EntryCode.USAGE_LATE,
            scope=scope,
            accounting_date=ledger.first_open_date(not_before=posted_on),
            postings=postings,
            quarter_index=current.index,
            origin_quarter_index=origin.index,
            description=f"late usage of Q{origin.index}",
            evidence=_evidence(state),
        )
    )


def _give_back(
    state: ChainState, booking: Booking, fallen: dict[Quarter, Decimal], amount: Decimal
) -> None:
    """A grant in the open quarter for overage that was invoiced and then taken back."""
    current = state.open_quarter
    if current is None:
        return
    grant = Grant(
        quarter=current,
        ref=f"given_back:{state.origin.book_runs}",
        kind=GrantKind.CREDIT,
        amount=amount,
        rolls_whole=True,
        created_at=booking.now,
    )
    grant.save()
    state.issued[current.position].append(grant)
    left = amount
    for quarter, fell in fallen.items():
        share = max(ZERO, min(left, fell))
        quarter.overage_given_back += share
        left -= share
    commit = state.commit_of(current)
    scope = Scope(commit.customer_id, commit.pk)
    booking.entries.append(
        Entry(
            key=_key(state, current, "given_back"),
            code=EntryCode.OVERAGE_GIVEN_BACK,
            scope=scope,
            accounting_date=ledger.first_open_date(not_before=booking.now.astimezone(UTC).date()),
            postings=postings_of(scope, *given_back_moves(current.index, amount)),
            quarter_index=current.index,
            description="invoiced overage given back as balance",
            evidence={"grant": grant.ref},
        )
    )


def record_booked(quarter: Quarter, figures: QuarterFigures) -> None:
    """Let a quarter's booked figures be these."""
    quarter.booked_drawn = figures.drawn
    quarter.booked_overage = figures.overage
    quarter.booked_rolled_in = figures.rolled_in
    quarter.booked_rolled_out = figures.rolled_out
    quarter.booked_breakage_paid = figures.breakage_paid
    quarter.booked_breakage_credit = figures.breakage_credit


def _book_unposted(
    state: ChainState,
    booking: Booking,
    usage: dict[int, tuple[UsageSlice, ...]],
    pending: dict[int, list[DayMove]],
) -> list[QuarterFigures]:
    """Book drawdown and overage of quarters that are not posted, day by day."""
    frozen = frozen_through(state)
    open_quarters = [
        quarter
        for quarter in state.quarters
        if quarter.state != QuarterState.POSTED and quarter.position != frozen
    ]
    usage = usage | {q.position: state.live[q.position] for q in open_quarters}
    figures = run_chain(quarter_inputs(state, usage))
    for quarter in open_quarters:
        target = figures[quarter.position - 1]
        _book_days(state, booking, quarter, target, pending.get(quarter.pk, []))
        slices = usage_as_json(usage[quarter.position])
        if slices != quarter.booked_usage or quarter.booked_rolled_in != target.rolled_in:
            quarter.booked_usage = slices
            booking.touch(quarter)
        record_booked(quarter, target)
    return figures


def _book_days(
    state: ChainState,
    booking: Booking,
    quarter: Quarter,
    target: QuarterFigures,
    days: Sequence[DayMove],
) -> None:
    """One entry for each day whose usage moved, then one for money that covers overage.

    The split of a day follows the order of its arrival: money first, then overage; a negative day
    (a void) takes back overage first. What the days leave of the quarter's change is money that
    arrived (or, rarely, left), which covers overage (or uncovers it).
    """
    money = target.drawn - quarter.booked_drawn
    overage_left = quarter.booked_overage
    covered = ZERO
    for item in days:
        day, moved = item.day, item.live - item.booked
        if moved >= 0:
            drawn = min(moved, max(ZERO, money - covered))
        else:
            from_overage = min(-moved, overage_left)
            drawn = moved + from_overage
        overage_left += moved - drawn
        covered += drawn
        booking.entries.append(
            _usage_entry(state, quarter, drawn, moved - drawn, day=day, now=booking.now)
        )
        booking.days.append(BookedDay(quarter=quarter, day=day, amount=item.live))
    shift = money - covered
    if shift:
        booking.entries.append(
            _usage_entry(state, quarter, shift, -shift, day=None, now=booking.now)
        )
    if days or shift:
        booking.touch(quarter)


def _usage_entry(
    state: ChainState,
    quarter: Quarter,
    drawn: Decimal,
    overage: Decimal,
    *,
    day: date | None,
    now: datetime,
) -> Entry:
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    on = day or now.astimezone(UTC).date()
    return Entry(
        key=_key(state, quarter, day.isoformat() if day else "cover"),
        code=usage_code(drawn, overage),
        scope=scope,
        accounting_date=ledger.first_open_date(not_before=on),
        postings=postings_of(scope, *usage_moves(quarter.index, drawn, overage)),
        quarter_index=quarter.index,
        usage_date=day,
        description=f"usage of {day.isoformat()}" if day else "money covers overage",
        evidence=_evidence(state),
    )


def _evidence(state: ChainState) -> dict[str, object]:
    """Which events an entry books: the customer's ingest sequence, from (exclusive) to."""
    return {"after_seq": state.origin.booked_seq, "through_seq": state.ingest_seq}
