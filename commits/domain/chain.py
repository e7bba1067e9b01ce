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
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from billing.domain.money import ZERO
from commits.domain.policies import RolloverPolicy

ROLL_EVERYTHING = RolloverPolicy()


class GrantKind(StrEnum):
    """Where drawable money came from."""

    INSTALMENT = "instalment"
    ROLLOVER = "rollover"
    TRUE_UP = "true_up"
    CREDIT = "credit"


class Settlement(StrEnum):
    """What becomes of a quarter's leftover money when it closes.

    RETURN: nothing follows any more although nothing expires, so that what would roll is refunded.
    Overage given back is refunded at every end.
    """

    ROLL = "roll"
    EXPIRE = "expire"
    REFUND = "refund"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Grant:
    """Drawable dollars of one quarter.

    `ref` names the grant that the money came from first; it stays the same while the money rolls.
    `expires_at` is only set where a credit ends before its quarter does. `paid` is False for
    credits, whose expiry is no revenue. `rolls_whole` marks overage given back: it rolls outside
    fraction, cap and count, and is never lost.
    """

    ref: str
    kind: GrantKind
    amount: Decimal
    created: int = 0
    expires_at: datetime | None = None
    rolls: bool = True
    rolls_whole: bool = False
    paid: bool = True
    times_rolled: int = 0
    source_kind: GrantKind | None = None

    @property
    def draw_rank(self) -> int:
        """The class of the draw order that this grant belongs to, 1 to 5."""
        if self.kind is GrantKind.CREDIT:
            return 5 if self.rolls and self.expires_at is None else 1
        return {GrantKind.ROLLOVER: 2, GrantKind.INSTALMENT: 3, GrantKind.TRUE_UP: 4}[self.kind]


@dataclass(frozen=True, slots=True)
class UsageSlice:
    """Exact dollars of usage timed before `until` and not before the slice in front of it.

    A quarter has one slice, unless a credit expires inside it: then it is cut there.
    """

    amount: Decimal
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuarterInput:
    """What one quarter brings into the chain. `index` counts along the chain from 1; `policy` and
    `settlement` are those of the commit that the quarter belongs to. `refunded` dollars of its
    money have gone back to the customer and are not called back."""

    index: int
    grants: tuple[Grant, ...]
    usage: tuple[UsageSlice, ...]
    policy: RolloverPolicy = ROLL_EVERYTHING
    settlement: Settlement = Settlement.ROLL
    closed: bool = False
    refunded: Decimal = ZERO

    @property
    def used(self) -> Decimal:
        """Exact dollars of rated usage."""
        return sum((piece.amount for piece in self.usage), ZERO)


@dataclass(frozen=True, slots=True)
class GrantFigures:
    """What became of one grant in its quarter:
    amount = drawn + rolled_out + broken + refunded + kept + remaining."""

    grant: Grant
    drawn: Decimal
    rolled_out: Decimal = ZERO
    broken: Decimal = ZERO
    refunded: Decimal = ZERO
    kept: Decimal = ZERO

    @property
    def returned(self) -> Decimal:
        """What goes back to the customer, or below a cent to rounding."""
        return self.refunded + self.kept

    @property
    def remaining(self) -> Decimal:
        """What can still be drawn (nothing once the quarter has closed)."""
        return self.grant.amount - self.drawn - self.rolled_out - self.broken - self.returned


@dataclass(frozen=True, slots=True)
class QuarterFigures:
    """One quarter of the chain. Every figure is exact dollars."""

    index: int
    used: Decimal
    overage: Decimal
    grants: tuple[GrantFigures, ...]
    closed: bool
    settlement: Settlement = Settlement.ROLL
    rolling: tuple[Grant, ...] = field(default=(), repr=False)

    @property
    def granted(self) -> Decimal:
        return sum((figures.grant.amount for figures in self.grants), ZERO)

    @property
    def rolled_in(self) -> Decimal:
        return sum(
            (f.grant.amount for f in self.grants if f.grant.kind is GrantKind.ROLLOVER), ZERO
        )

    @property
    def drawn(self) -> Decimal:
        """Used and not overage. Where refunded money is missing, less than grants were drawn."""
        return self.used - self.overage

    @property
    def kept(self) -> Decimal:
        """What is left at the very end: refunded by the cent, below it for rounding."""
        return sum((figures.kept for figures in self.grants), ZERO)

    @property
    def available(self) -> Decimal:
        return sum((figures.remaining for figures in self.grants), ZERO)

    @property
    def rolled_out(self) -> Decimal:
        return sum((figures.rolled_out for figures in self.grants), ZERO)

    @property
    def breakage_paid(self) -> Decimal:
        return sum((f.broken for f in self.grants if f.grant.paid), ZERO)

    @property
    def breakage_credit(self) -> Decimal:
        return sum((f.broken for f in self.grants if not f.grant.paid), ZERO)

    @property
    def breakage(self) -> Decimal:
        return self.breakage_paid + self.breakage_credit


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
