"""When the money runs out at the present pace: a straight line through the coming quarters.

A forecast, not a figure of the books: it may round.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.domain.money import ZERO


@dataclass(frozen=True, slots=True)
class Ahead:
    """A coming stretch: until when it runs, and the money that arrives at its beginning."""

    ends_at: datetime
    arrives: Decimal


def runs_out_at(
    *,
    now: datetime,
    available: Decimal,
    dollars_per_day: Decimal,
    ahead: Sequence[Ahead],
) -> datetime | None:
    """The instant at which nothing is left, or None if that does not happen within `ahead`.

    `available` is what can be drawn now; the first of `ahead` is the running quarter (nothing more
    arrives in it), then come the following ones. What is left over rolls on.
    """
    if dollars_per_day <= 0:
        return None
    left, at = available, now
    for stretch in ahead:
        left += stretch.arrives
        seconds = Decimal((stretch.ends_at - at).total_seconds())
        needed = dollars_per_day * seconds / 86_400
        if left <= needed:
            return at + timedelta(seconds=int(left * 86_400 / dollars_per_day))
        left -= max(ZERO, needed)
        at = stretch.ends_at
    return None
