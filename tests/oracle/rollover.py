"""What a close does with the money that is left: it rolls, lapses, or is refunded."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from .draw import Drawn, Grant
from .money import ZERO, cut_down
from .quarters import Leftover
from .terms import Rollover


@dataclass(frozen=True)
class Settled:
    """A grant of a closed quarter: left = rolled + lapsed + refundable."""

    drawn: Drawn
    rolled: Fraction
    lapsed: Fraction
    refundable: Fraction


def may_roll(grant: Grant, policy: Rollover) -> bool:
    """Credits roll only if they say so; no dollar rolls more than `max_times`."""
    if grant.kind == "credit" and not grant.rolls_over:
        return False
    return policy.max_times is None or grant.rolls < policy.max_times


def roll(left: Sequence[Drawn], policy: Rollover) -> list[Fraction]:
    """How much of each leftover rolls, in draw order.

    leftover x fraction, cut down to 12 decimals, then limited by what remains of the cap.
    Overage given back rolls whole, outside fraction, cap and count.
    """
    cap = policy.cap
    rolled = []
    for one in left:
        if one.grant.origin == "given_back":
            rolled.append(one.left)
            continue
        amount = ZERO
        if may_roll(one.grant, policy):
            amount = cut_down(one.left * policy.fraction)
        if cap is not None:
            amount = min(amount, cap)
            cap -= amount
        rolled.append(amount)
    return rolled


def settle(
    left: Sequence[Drawn], policy: Rollover, leftover: Leftover, follows: bool
) -> list[Settled]:
    """Dispose of every leftover at a close.

    `follows` is False where the chain has ended with this quarter: then what would roll is
    refunded, since nothing expires unless the commit says so. Overage given back is never
    lost: it rolls while a quarter follows and is refunded at the end.
    """
    by_rule = roll(left, policy)
    outcome = []
    for one, amount in zip(left, by_rule, strict=True):
        rolled = refundable = ZERO
        if leftover == "refund":
            refundable = ZERO if one.grant.origin == "credit" else one.left
        elif one.grant.origin == "given_back" or leftover == "roll":
            rolled, refundable = (amount, ZERO) if follows else (ZERO, amount)
            if one.grant.origin == "credit" and not follows:
                refundable = ZERO
        lapsed = one.left - rolled - refundable
        outcome.append(Settled(one, rolled, lapsed, refundable))
    return outcome


def rolled_in(settled: Sequence[Settled], expires_at: datetime) -> list[Grant]:
    """The rollover grants of the next quarter, in the draw order of their sources."""
    return [
        Grant(
            "rollover",
            one.rolled,
            one.drawn.grant.origin,
            expires_at,
            rolls=one.drawn.grant.rolls + 1,
            position=place,
            source=one.drawn.grant.source,
        )
        for place, one in enumerate(settled)
        if one.rolled > 0
    ]
