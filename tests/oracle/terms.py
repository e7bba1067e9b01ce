"""What was promised: a commit's terms and the prices it is rated by. Data only."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any, Literal, TypeAlias

EndKind: TypeAlias = Literal["tail", "expire", "refund", "renewal"]


@dataclass(frozen=True, kw_only=True)
class Price:
    """A dated price of (model or sku, mode, meter) in the unit that the meter is quoted in.

    In the price book it is a list price; in a commit it is an override.
    """

    model: str
    mode: str
    meter: str
    price: Fraction
    effective_at: datetime


@dataclass(frozen=True, kw_only=True)
class Rollover:
    """How unused money moves to the next quarter. `None` means without limit."""

    fraction: Fraction = Fraction(1)
    cap: Fraction | None = None
    max_times: int | None = None


@dataclass(frozen=True, kw_only=True)
class Commit:
    """A signed commit, or (with `quarters=None`) an uncommitted customer's terms."""

    key: str
    customer: str
    starts_on: date
    quarters: int | None
    instalments: tuple[Fraction, ...] = ()
    discount: Fraction = Fraction(0)
    zone: str = "UTC"
    overrides: tuple[Price, ...] = ()
    grace: timedelta = timedelta(hours=72)
    rollover: Rollover = Rollover()
    end: EndKind = "tail"
    end_quarters: int | None = None
    price_protection: bool = True
    period_months: int = 3
    max_overage: Fraction | None = Fraction(10**12)  # closes above it need a human; None: all do

    @property
    def committed(self) -> bool:
        """True for a signed commit with a term, False for an uncommitted customer."""
        return self.quarters is not None

    @property
    def last_index(self) -> int | None:
        """The index of the last quarter that can exist, or None where there is no limit.

        A tail has at least one quarter; `expire` and `refund` have just the tail quarters that
        they name.
        """
        if self.quarters is None:
            return None
        if self.end in ("tail", "renewal") and self.end_quarters is None:
            return None
        return self.quarters + (self.end_quarters or 0)


def level(amount: str, quarters: int = 4, **terms: Any) -> Commit:
    """A commit with the same instalment each quarter (a shorthand for tests)."""
    instalments = (Fraction(amount),) * quarters
    return Commit(quarters=quarters, instalments=instalments, **terms)
