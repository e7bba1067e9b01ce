"""What a commit says about its unused money: rollover, and what follows the term."""

from decimal import Decimal
from enum import StrEnum

import msgspec

from billing.domain.money import cut


class EndOfTerm(StrEnum):
    """What happens after the last quarter that has an instalment."""

    TAIL = "tail"
    EXPIRE = "expire"
    REFUND = "refund"
    RENEWAL = "renewal"


class RolloverPolicy(msgspec.Struct, frozen=True):
    """How unused money moves on: a share of each leftover, a cap per close, a number of times.

    Defaults: everything, without limit. Nothing expires unless the commit says so.
    """

    fraction: Decimal = Decimal(1)
    cap: Decimal | None = None
    max_times: int | None = None

    def rolled(self, leftover: Decimal, times_rolled: int, cap_left: Decimal | None) -> Decimal:
        """How much of one grant's leftover rolls on, given what remains of this close's cap.

        leftover x fraction, cut down to twelve decimals, then limited by the cap; nothing once
        the money has rolled `max_times` times.
        """
        if self.max_times is not None and times_rolled >= self.max_times:
            return Decimal(0)
        amount = cut(leftover * self.fraction)
        return amount if cap_left is None else min(amount, cap_left)
