"""Late usage: differences of posted quarters, posted in the open quarter.

When a quarter has been posted its books do not change. Late usage or a void for it recomputes the
whole chain as if it had been in time, and only the difference is booked, linked to its quarter of
origin. Overage that was invoiced and is taken back becomes a grant in the open quarter.
"""

from collections.abc import Sequence
from decimal import Decimal

from billing.domain.journal import (
    Entry,
    EntryCode,
    Scope,
    given_back_moves,
    late_moves,
    postings_of,
)
from billing.domain.money import ZERO
from commits.domain.chain import GrantKind, QuarterFigures, UsageSlice, run_chain
from commits.domain.close import give_back
from commits.models import Grant, Quarter, QuarterState
from commits.services.bookings import (
    Booking,
    booked_view,
    entry_key,
    evidence,
    frozen_through,
    record_booked,
    usage_as_json,
)
from commits.services.chains import (
    ChainState,
    booked_slices,
    quarter_inputs,
    unbilled_overage,
)


def book_late(state: ChainState, booking: Booking) -> dict[int, tuple[UsageSlice, ...]]:
    """Book differences of posted quarters, one quarter of origin after the other.

    Returns the usage that the books hold afterwards, by position. Where no quarter is open any
    more, the next daily job settles the difference (`after_the_end`).
    """
    current = state.open_quarter
    if frozen_through(state) or current is None:
        return booked_view(state)
    posted = [quarter for quarter in state.quarters if quarter.state == QuarterState.POSTED]
    if all(state.live[quarter.position] == booked_slices(quarter) for quarter in posted):
        return dict(state.live)
    usage = booked_view(state)
    overage_before = {quarter.position: quarter.booked_overage for quarter in posted}
    unbilled_before = unbilled_overage(posted)
    if not book_differences(state, booking, usage, current):
        return usage
    fallen = {q: overage_before[q.position] - q.booked_overage for q in posted}
    back = give_back(reduction=sum(fallen.values(), ZERO), unbilled=unbilled_before)
    if back:
        _give_back(state, booking, current, fallen, back)
    return usage


def book_differences(
    state: ChainState,
    booking: Booking,
    usage: dict[int, tuple[UsageSlice, ...]],
    into: Quarter,
) -> bool:
    """Book what late usage of each posted quarter changes, in the quarter `into`: whether any did.

    `usage` is what the books hold, by position; it becomes what they hold afterwards.
    """
    late = [
        quarter
        for quarter in state.quarters
        if quarter.state == QuarterState.POSTED
        and state.live[quarter.position] != usage[quarter.position]
    ]
    for quarter in late:
        before = run_chain(quarter_inputs(state, usage))
        usage[quarter.position] = state.live[quarter.position]
        after = run_chain(quarter_inputs(state, usage))
        _book_difference(state, booking, quarter, into, before, after)
        quarter.booked_usage = usage_as_json(usage[quarter.position])
        booking.touch(quarter)
    return bool(late)


def _held(figures: QuarterFigures) -> Decimal:
    """Money of posted quarters that stands in this one: rolled in, or kept for a refund."""
    return figures.kept if figures.closed else figures.rolled_in


def _book_difference(
    state: ChainState,
    booking: Booking,
    origin: Quarter,
    into: Quarter,
    before: Sequence[QuarterFigures],
    after: Sequence[QuarterFigures],
) -> None:
    """Post what late usage of one posted quarter changes, in the open quarter.

    Conservation: late amount = balance drawn + extra overage + breakage undone.
    """
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
    held = _held(after[into.position - 1]) - _held(before[into.position - 1])
    commit = state.commit_of(into)
    scope = Scope(commit.customer_id, commit.pk)
    postings = postings_of(scope, *late_moves(into.index, held, drawn, overage, paid, credit))
    if not postings:
        return
    booking.entries.append(
        Entry(
            key=entry_key(state, origin, "late"),
            code=EntryCode.USAGE_LATE,
            scope=scope,
            accounting_date=booking.open_date(origin.posted_at or booking.now),
            postings=postings,
            quarter_index=into.index,
            origin_quarter_index=origin.index,
            description=f"late usage of Q{origin.index}",
            evidence=evidence(state),
        )
    )


def _give_back(
    state: ChainState,
    booking: Booking,
    current: Quarter,
    fallen: dict[Quarter, Decimal],
    amount: Decimal,
) -> None:
    """A grant in the open quarter for overage that was invoiced and then taken back."""
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
            key=entry_key(state, current, "given_back"),
            code=EntryCode.OVERAGE_GIVEN_BACK,
            scope=scope,
            accounting_date=booking.open_date(booking.now),
            postings=postings_of(scope, *given_back_moves(current.index, amount)),
            quarter_index=current.index,
            description="invoiced overage given back as balance",
            evidence={"grant": grant.ref},
        )
    )
