"""The chain: every quarter of a commit, recomputed from its grants and its usage.

A pure function of (policy, grants, usage). It is the only place where money meets usage: balances,
drawdown, closes and late usage all read the figures computed here. As nothing is carried along
except the inputs, usage that arrives late changes the figures of every quarter as if it had been
in time; the books then post the difference.

    granted    = everything drawable in the quarter, what rolled in included
    used       = exact rated usage of the quarter = drawn from grants + overage
    rolled_out = what the next quarter receives; breakage = what expired
    refunded   = what credit notes have given back; kept = what they still have to, at the end

Draw order within a quarter: (1) credits that do not roll, earliest expiry first; (2) rollover
grants, in the order in which their sources stood in the quarter before; (3) the instalment;
(4) true-ups; (5) credits that roll. Ties by creation.
"""

from collections.abc import Sequence
from decimal import Decimal

from billing.domain.money import ZERO
from commits.domain.figures import (
    ROLL_EVERYTHING,
    Grant,
    GrantFigures,
    GrantKind,
    QuarterFigures,
    QuarterInput,
    Settlement,
    UsageSlice,
)
from commits.domain.policies import RolloverPolicy

# The chain is read together with its values: whoever runs it imports both from here.
__all__ = [
    "ROLL_EVERYTHING",
    "Grant",
    "GrantFigures",
    "GrantKind",
    "QuarterFigures",
    "QuarterInput",
    "Settlement",
    "UsageSlice",
    "draw_down",
    "draw_order",
    "run_chain",
    "run_quarter",
    "withdraw",
]


def draw_order(grants: Sequence[Grant]) -> list[Grant]:
    """Grants of one quarter in the order in which usage consumes them.

    Rollover grants must come in the order in which their sources stood; they keep it.
    """

    def place(numbered: tuple[int, Grant]) -> tuple[int, float, int, str]:
        number, grant = numbered
        if grant.kind is GrantKind.ROLLOVER:
            return (grant.draw_rank, 0.0, number, "")
        # A credit without an own expiry ends with the quarter, after those that end inside it.
        expiry = grant.expires_at.timestamp() if grant.expires_at else float("inf")
        return (grant.draw_rank, expiry, grant.created, grant.ref)

    return [grant for _, grant in sorted(enumerate(grants), key=place)]


def withdraw(grants: Sequence[Grant], refunded: Decimal) -> tuple[list[Decimal], Decimal]:
    """How much of each grant (in draw order) has gone back to the customer, and what is missing.

    Taken from paid money and overage given back, from what would be drawn last. Missing is what
    these grants no longer hold, because late usage has drawn on it before it came here.
    """
    taken = [ZERO] * len(grants)
    for place in reversed(range(len(grants))):
        if grants[place].paid or grants[place].rolls_whole:
            taken[place] = min(refunded, grants[place].amount)
            refunded -= taken[place]
    return taken, refunded


def draw_down(
    grants: Sequence[Grant], usage: Sequence[UsageSlice], gone: Sequence[Decimal] = ()
) -> list[Decimal]:
    """How much each grant (already in draw order) covers of the quarter's usage.

    Computed over the whole quarter. A grant that expires inside it covers only usage timed before
    its expiry; each grant takes the earliest usage first. `gone` is what has been refunded of each.
    """
    open_usage = [piece.amount for piece in usage]
    drawn = []
    for grant, away in zip(grants, gone or [ZERO] * len(grants), strict=True):
        whole = left = grant.amount - away
        for place, piece in enumerate(usage):
            if left <= 0:
                break
            covers = grant.expires_at is None or (
                piece.until is not None and piece.until <= grant.expires_at
            )
            if covers and open_usage[place] > 0:
                taken = min(left, open_usage[place])
                open_usage[place] -= taken
                left -= taken
        drawn.append(whole - left)
    return drawn


def _settle(
    figures: Sequence[GrantFigures], policy: RolloverPolicy, settlement: Settlement
) -> tuple[list[GrantFigures], list[Grant]]:
    """Roll over, break or keep for refund what each grant has left, in draw order."""
    settled: list[GrantFigures] = []
    rolling: list[Grant] = []
    cap_left = policy.cap
    for item in figures:
        grant, left = item.grant, item.remaining
        rolled = ZERO
        may_roll = settlement in (Settlement.ROLL, Settlement.RETURN)
        if may_roll and grant.expires_at is None and grant.rolls:
            if grant.rolls_whole:
                rolled = left
            else:
                rolled = policy.rolled(left, grant.times_rolled, cap_left)
                cap_left = None if cap_left is None else cap_left - rolled
        kept = _kept(grant, left, rolled, settlement)
        rolled = rolled if settlement is Settlement.ROLL else ZERO
        broken = left - rolled - kept
        settled.append(GrantFigures(grant, item.drawn, rolled, broken, item.refunded, kept))
        if rolled:
            rolling.append(_rolled_on(grant, rolled))
    return settled, rolling


def _kept(grant: Grant, left: Decimal, rolled: Decimal, settlement: Settlement) -> Decimal:
    """What of a grant's leftover is refunded: nothing where a quarter follows."""
    if settlement is Settlement.ROLL or not (grant.paid or grant.rolls_whole):
        return ZERO
    if settlement is Settlement.RETURN:
        return rolled
    return left if settlement is Settlement.REFUND or grant.rolls_whole else ZERO


def _rolled_on(grant: Grant, amount: Decimal) -> Grant:
    """The rollover grant that the next quarter receives."""
    return Grant(
        ref=grant.ref,
        kind=GrantKind.ROLLOVER,
        amount=amount,
        created=grant.created,
        rolls=grant.rolls,
        rolls_whole=grant.rolls_whole,
        paid=grant.paid,
        times_rolled=grant.times_rolled + 1,
        source_kind=grant.source_kind or grant.kind,
    )


def run_quarter(quarter: QuarterInput, rolled_in: Sequence[Grant]) -> QuarterFigures:
    """One quarter, given what rolled into it. `rolling` is what a close would roll on.

    Refunded money is gone before usage draws; what of it is missing is overage.
    """
    ordered = draw_order([*rolled_in, *quarter.grants])
    gone, missing = withdraw(ordered, quarter.refunded)
    drawn = draw_down(ordered, quarter.usage, gone)
    figures = [
        GrantFigures(grant, amount, refunded=away)
        for grant, amount, away in zip(ordered, drawn, gone, strict=True)
    ]
    settled, rolling = _settle(figures, quarter.policy, quarter.settlement)
    used = quarter.used
    return QuarterFigures(
        index=quarter.index,
        used=used,
        overage=used - sum(drawn, ZERO) + missing,
        grants=tuple(settled if quarter.closed else figures),
        closed=quarter.closed,
        settlement=quarter.settlement,
        rolling=tuple(rolling),
    )


def run_chain(quarters: Sequence[QuarterInput]) -> list[QuarterFigures]:
    """All quarters in order. Money rolls only out of quarters that have closed.

    While quarter k waits in its grace, k + 1 draws on its own grants; what k would roll on now is
    `rolling` of its figures, shown to the customer as pending rollover.
    """
    figures: list[QuarterFigures] = []
    rolled_in: tuple[Grant, ...] = ()
    for quarter in quarters:
        current = run_quarter(quarter, rolled_in)
        figures.append(current)
        rolled_in = current.rolling if quarter.closed else ()
    return figures
