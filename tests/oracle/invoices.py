"""Invoices as data: lines in whole cents."""

from dataclasses import dataclass, field
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
    source: str = ""  # of the grant that it bills

    @property
    def for_usage(self) -> bool:
        """True for lines of overage, in time or late."""
        return self.kind in ("overage", "late_usage")


@dataclass
class Invoice:
    """An invoice. `credited` are the cents of credit notes on it, by what they take back: usage
    lines or not. `paid_cents` is what came in."""

    number: int
    customer: str
    commit: str
    occasion: str
    lines: tuple[Line, ...]
    state: str = "finalized"  # draft | finalized | paid | void | reissued | uncollectible
    revision: int = 1
    paid_through: str = ""
    paid_cents: int = 0
    tax_cents: int = 0
    credited: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    unused: dict[int, Fraction] = field(default_factory=dict)  # by quarter, once uncollectible
    withdrawn_cents: int | None = None  # what nobody had used of it, once written off

    @property
    def total_cents(self) -> int:
        """The sum of the lines."""
        return sum(line.cents for line in self.lines)

    @property
    def owed_cents(self) -> int:
        """What the customer is to pay: with tax, less what credit notes took back."""
        return self.total_cents + self.tax_cents - self.credited_cents

    @property
    def live(self) -> bool:
        """True unless it was voided or nobody will pay it."""
        return self.state in ("draft", "finalized", "paid")

    @property
    def booked(self) -> bool:
        """True where what it bills stands in the books: issued and not voided, or written off."""
        return self.state in ("finalized", "paid", "uncollectible") or self.written_off

    @property
    def written_off(self) -> bool:
        """True once what it billed was given up for good."""
        return self.withdrawn_cents is not None

    @property
    def credited_cents(self) -> int:
        """All cents of credit notes on it."""
        return sum(self.credited.values())

    def creditable(self, *, usage: bool) -> int:
        """What credit notes can still take back of its lines for usage, or of the others."""
        billed = sum(line.cents for line in self.lines if line.for_usage is usage)
        return billed - self.credited[usage]

    def cents(self, kind: str) -> int:
        """The sum of the lines of one kind."""
        return sum(line.cents for line in self.lines if line.kind == kind)
