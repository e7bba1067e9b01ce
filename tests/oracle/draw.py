"""Drawing down: which grant covers which part of a quarter's usage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal, TypeAlias

from .money import ZERO

Origin: TypeAlias = Literal["paid", "credit", "given_back"]


@dataclass(frozen=True)
class Grant:
    """A drawable balance of one quarter.

    `position` is the place of a rollover's source in the quarter before; `rolls` counts how
    often the money has rolled.
    """

    kind: str  # instalment | rollover | true_up | credit
    amount: Fraction
    origin: Origin
    expires_at: datetime
    rolls_over: bool = True
    rolls: int = 0
    position: int = 0
    created_at: datetime | None = None
    number: int = 0
    source: str = ""  # the grant that the money came from first

    def turn(self) -> tuple[object, ...]:
        """The draw order.

        Credits that do not roll by expiry, rollovers in the order of their sources, the
        instalment, true-ups, credits that roll; ties by creation, then number.
        """
        tie = (self.created_at, self.number)
        if self.kind == "credit":
            return (5, *tie) if self.rolls_over else (1, self.expires_at, *tie)
        if self.kind == "rollover":
            return (2, self.position)
        return (3 if self.kind == "instalment" else 4, *tie)


@dataclass(frozen=True)
class Drawn:
    """A grant and how much of it was drawn by usage, or refunded earlier."""

    grant: Grant
    drawn: Fraction
    refunded: Fraction = ZERO

    @property
    def left(self) -> Fraction:
        """What usage and refunds have left."""
        return self.grant.amount - self.drawn - self.refunded


def draw_down(
    grants: Sequence[Grant], usage: Sequence[tuple[datetime, Fraction]], refunded: Fraction
) -> tuple[list[Drawn], Fraction]:
    """Draw a quarter's usage, computed over the whole quarter; the rest is overage.

    A grant covers usage timed before its expiry. Money refunded earlier is gone: it is taken
    first, from the grants drawn last; what they no longer hold of it is overage.
    """
    ordered = sorted(grants, key=lambda grant: grant.turn())
    gone: dict[int, Fraction] = {}
    missing = refunded
    for place in reversed(range(len(ordered))):
        if ordered[place].origin != "credit":
            gone[place] = min(missing, ordered[place].amount)
            missing -= gone[place]
    covered = ZERO
    outcome = []
    for place, grant in enumerate(ordered):
        in_time = sum((amount for at, amount in usage if at < grant.expires_at), ZERO)
        room = grant.amount - gone.get(place, ZERO)
        drawn = min(room, max(ZERO, in_time - covered))
        covered += drawn
        outcome.append(Drawn(grant, drawn, gone.get(place, ZERO)))
    used = sum((amount for _, amount in usage), ZERO)
    return outcome, used - covered + missing
