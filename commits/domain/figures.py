"""What goes into the chain and what comes out of it: grants, usage, and every quarter's figures.

Frozen values only (structs: a close makes dozens of them); how they follow from each other is in
`chain`.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from billing.domain.money import ZERO
from commits.domain.policies import RolloverPolicy

ROLL_EVERYTHING = RolloverPolicy()


class GrantKind(StrEnum):
    """Where drawable money came from."""

    INSTALMENT = "instalment"
    ROLLOVER = "rollover"
    TRUE_UP = "true_up"
    CREDIT = "credit"


_RANKS = {GrantKind.ROLLOVER: 2, GrantKind.INSTALMENT: 3, GrantKind.TRUE_UP: 4}


class Settlement(StrEnum):
    """What becomes of a quarter's leftover money when it closes.

    RETURN: nothing follows any more although nothing expires, so that what would roll is refunded.
    Overage given back is refunded at every end.
    """

    ROLL = "roll"
    EXPIRE = "expire"
    REFUND = "refund"
    RETURN = "return"


class Grant(msgspec.Struct, frozen=True):
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
        return _RANKS[self.kind]


class UsageSlice(msgspec.Struct, frozen=True):
    """Exact dollars of usage timed before `until` and not before the slice in front of it.

    A quarter has one slice, unless a credit expires inside it: then it is cut there.
    """

    amount: Decimal
    until: datetime | None = None


class QuarterInput(msgspec.Struct, frozen=True):
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


class GrantFigures(msgspec.Struct, frozen=True):
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


class QuarterFigures(msgspec.Struct, frozen=True):
    """One quarter of the chain. Every figure is exact dollars."""

    index: int
    used: Decimal
    overage: Decimal
    grants: tuple[GrantFigures, ...]
    closed: bool
    settlement: Settlement = Settlement.ROLL
    rolling: tuple[Grant, ...] = ()

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
    def kept_given_back(self) -> Decimal:
        """The part of it that is overage given back."""
        return sum((f.kept for f in self.grants if f.grant.rolls_whole), ZERO)

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
