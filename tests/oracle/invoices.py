"""Invoices as data: lines in whole cents."""

from dataclasses import dataclass
from fractions import Fraction

STRIPE_MINIMUM_CENTS = 50


@dataclass(frozen=True)
class Line:
    """One line; `quarter` is the quarter of origin. Usage lines carry group and quantity."""

    kind: str  # instalment | overage | true_up | late_usage
    commit: str
    quarter: int
    cents: int
    model: str = ""
    mode: str = ""
    meter: str = ""
    rate: Fraction = Fraction(0)
    quantity: int = 0

    @property
    def for_usage(self) -> bool:
        """True for lines of overage, in time or late."""
        return self.kind in ("overage", "late_usage")


@dataclass
class Invoice:
    """An invoice, or with a negative line a credit note (`occasion` says which)."""

    number: int
    customer: str
    commit: str
    occasion: str
    lines: tuple[Line, ...]
    state: str = "finalized"  # draft | finalized | paid | void
    revision: int = 1
    paid_through: str = ""

    @property
    def total_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.cents for line in self.lines)

    def cents(self, kind: str) -> int:
        """The sum of the lines of one kind."""
        return sum(line.cents for line in self.lines if line.kind == kind)
