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
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from billing.domain.journal import Entry, Scope, postings_of, usage_code, usage_moves
from billing.domain.money import ZERO
from billing.services.retrying import retried
from commits.domain.chain import QuarterFigures, UsageSlice, run_chain
from commits.models import BookedDay, Quarter, QuarterState
from commits.services.bookings import (
    Booking,
    entry_key,
    evidence,
    frozen_through,
    holds_usage,
    record_booked,
    usage_as_json,
    write_booking,
)
from commits.services.chains import ChainState, load_chains, quarter_inputs
from commits.services.grants import project_grants
from commits.services.late_usage import book_late
from metering.services import totals


@dataclass(frozen=True, slots=True)
class DayMove:
    """A UTC day of usage: dollars booked so far, and dollars as metering has them."""

    day: date
    booked: Decimal
    live: Decimal


@retried
def sync_books(*, origin_ids: Iterable[UUID], now: datetime) -> int:
    """Book all usage of these chains that is not in the journal yet. Returns entries posted.

    One database transaction, which takes the chains' locks. Idempotent.
    """
    booking = Booking(now)
    with transaction.atomic():
        states = load_chains(origin_ids=origin_ids, lock=True)
        book_chains(states.values(), booking)
        write_booking(booking)
    return len(booking.entries)


def book_and_write(states: Iterable[ChainState], now: datetime) -> None:
    """Book chains loaded under lock, inside the caller's transaction."""
    booking = Booking(now)
    book_chains(states, booking)
    write_booking(booking)


def book_chains(states: Iterable[ChainState], booking: Booking) -> None:
    """Work out the difference for chains loaded under lock; `write_booking` writes it."""
    states = list(states)
    pending = _pending_days(states)
    for state in states:
        state.origin.book_runs += 1
        before = len(booking.entries)
        usage = book_late(state, booking)
        figures = _book_unposted(state, booking, usage, pending)
        changed = len(booking.entries) > before
        # Also without an entry: a credit may be drawn in the place of paid money.
        booking.project(project_grants(state, figures, booking.now))
        if changed or state.origin.booked_seq != state.ingest_seq:
            state.origin.booked_seq = state.ingest_seq
            booking.origins[state.origin.pk] = state.origin
        else:
            state.origin.book_runs -= 1


def moved(states: Iterable[ChainState]) -> list[ChainState]:
    """The chains whose usage, or whose customer's sequence, is not what has been booked."""
    return [
        state
        for state in states
        if state.origin.booked_seq != state.ingest_seq
        or any(_differs(state, quarter) for quarter in state.quarters)
    ]


def _has_moved(state: ChainState, quarter: Quarter) -> bool:
    """Whether an unposted, unfrozen quarter may have days that are not booked as they are."""
    if quarter.state not in (QuarterState.OPEN, QuarterState.PLANNED):
        return False
    return _differs(state, quarter) or state.origin.booked_seq != state.ingest_seq


def _differs(state: ChainState, quarter: Quarter) -> bool:
    """Whether the usage of a quarter comes to something else than what is booked."""
    booked: Decimal = quarter.booked_drawn + quarter.booked_overage
    return _total(state.live[quarter.position]) != booked


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
    return slices[0].amount if len(slices) == 1 else sum([piece.amount for piece in slices], ZERO)


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
    figures = run_chain(quarter_inputs(state, usage, through=_last_to_move(state)))
    for quarter in open_quarters:
        if quarter.position > len(figures):
            break
        target = figures[quarter.position - 1]
        _book_days(state, booking, quarter, target, pending.get(quarter.pk, []))
        slices = usage[quarter.position]
        if not holds_usage(quarter, slices) or quarter.booked_rolled_in != target.rolled_in:
            quarter.booked_usage = usage_as_json(slices)
            booking.touch(quarter)
        record_booked(quarter, target)
    return figures


def _last_to_move(state: ChainState) -> int:
    """The position of the last quarter whose figures may not be what is booked.

    Behind it, quarters wait that nothing has come to yet: most of a young chain. Money rolls only
    out of a posted quarter, so into none of them.
    """
    last = len(state.quarters)
    while last > 1 and _waits(state, last):
        last -= 1
    return last


def _waits(state: ChainState, position: int) -> bool:
    """Whether a quarter has an untouched instalment at most, nothing used, and nothing booked."""
    before, quarter = state.quarters[position - 2], state.quarters[position - 1]
    live, grants = state.live[position], state.issued[position]
    return (
        before.state != QuarterState.POSTED
        and quarter.state == QuarterState.OPEN
        and not (quarter.booked_drawn or quarter.booked_overage or quarter.booked_rolled_in)
        and not quarter.refunded_cents
        and not state.rollovers[position]
        and len(grants) <= 1
        and not any(grant.drawn or grant.returned or grant.draw_place for grant in grants)
        and holds_usage(quarter, live)
        and not _total(live)
    )


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
            _usage_entry(state, quarter, drawn, moved - drawn, day=day, booking=booking)
        )
        booking.days.append(BookedDay(quarter=quarter, day=day, amount=item.live))
    shift = money - covered
    if shift:
        booking.entries.append(
            _usage_entry(state, quarter, shift, -shift, day=None, booking=booking)
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
    booking: Booking,
) -> Entry:
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    return Entry(
        key=entry_key(state, quarter, day.isoformat() if day else "cover"),
        code=usage_code(drawn, overage),
        scope=scope,
        accounting_date=booking.dates.first(day) if day else booking.open_date(booking.now),
        postings=postings_of(scope, *usage_moves(quarter.index, drawn, overage)),
        quarter_index=quarter.index,
        usage_date=day,
        description=f"usage of {day.isoformat()}" if day else "money covers overage",
        evidence=evidence(state),
    )
