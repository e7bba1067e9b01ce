"""What has happened so far: the inputs from which every figure is computed anew."""

from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction

from .happenings import Credit, RequestTrueUp, Use
from .invoices import Invoice, Line
from .quarters import SlotKey
from .terms import Commit, Price

EventKey = tuple[str, str, str]  # customer, source, id
GroupKey = tuple[str, str, str, Fraction]  # model, mode, meter, rate


@dataclass(frozen=True)
class Approved:
    """A true-up as approved: effective quarters and the instant of its discount."""

    request: RequestTrueUp
    approved_at: datetime
    number: int
    from_quarter: int
    through_quarter: int
    granted: tuple[int, ...]  # quarters that got a true_up grant at once
    discount_from: datetime | None


@dataclass(frozen=True)
class Granted:
    """A credit grant: an SLA or promotional credit, or overage given back."""

    slot: SlotKey
    amount: Fraction
    expires_at: datetime | None
    rolls_over: bool
    given_back: bool
    created_at: datetime
    number: int


@dataclass
class Chain:
    """Commits that continue each other, and what is fixed about them by earlier closes."""

    commits: list[Commit]
    posted: set[SlotKey] = field(default_factory=set)
    ended: SlotKey | None = None
    cut_at: datetime | None = None  # an uncommitted customer's: where a signed commit took over
    billed_cents: int = 0  # overage cents on invoices, less credit notes for usage
    standing_overage: Fraction = Fraction(0)  # exact overage of posted quarters + given back
    closed_overage: dict[SlotKey, Fraction] = field(default_factory=dict)  # at its own close
    own_billed_cents: dict[SlotKey, int] = field(default_factory=dict)  # of that
    late_billed_cents: int = 0  # as late usage
    settled_groups: dict[tuple[SlotKey, GroupKey], tuple[Fraction, int]] = field(
        default_factory=dict
    )
    waiting: list[Line] = field(default_factory=list)  # fixed lines not yet on an invoice
    never_billed: list[Line] = field(default_factory=list)  # of those, at a commit's end
    instalments_billed: set[SlotKey] = field(default_factory=set)
    refunded: dict[SlotKey, int] = field(default_factory=dict)  # cents
    usage_refunded_cents: int = 0  # cents of credit notes for overbilled usage
    conceded_cents: int = 0  # cents of credit notes for usage that finance made
    rounded_off: Fraction = Fraction(0)  # residue moved to rounding when the chain ended


@dataclass(frozen=True)
class Unbilled:
    """Exact overage to be billed: a weight among which the cents are shared."""

    kind: str
    slot: SlotKey
    group: GroupKey
    amount: Fraction
    quantity: Fraction


@dataclass
class Facts:
    """Everything received or decided, in order of arrival."""

    now: datetime | None = None
    book: list[Price] = field(default_factory=list)
    private: dict[str, list[Price]] = field(default_factory=dict)  # by customer
    chains: list[Chain] = field(default_factory=list)
    overrides: dict[str, list[Price]] = field(default_factory=dict)
    events: dict[EventKey, Use] = field(default_factory=dict)
    voids: dict[EventKey, EventKey] = field(default_factory=dict)  # void -> target
    waived: set[tuple[EventKey, str]] = field(default_factory=set)  # meters of events
    requests: dict[str, tuple[RequestTrueUp, int]] = field(default_factory=dict)
    approved: dict[str, Approved] = field(default_factory=dict)
    credits: list[Granted] = field(default_factory=list)
    credit_keys: dict[str, Credit] = field(default_factory=dict)
    invoices: list[Invoice] = field(default_factory=list)
    tax: Fraction = Fraction(0)  # the share that Stripe puts on top
    locked: set[date] = field(default_factory=set)  # first days of months
    count: int = 0

    def next_number(self) -> int:
        """A creation number: later is larger."""
        self.count += 1
        return self.count

    def chain_of(self, commit: str) -> Chain:
        """The chain that a commit belongs to."""
        for chain in self.chains:
            if any(one.key == commit for one in chain.commits):
                return chain
        raise LookupError(commit)

    def commit(self, key: str) -> Commit:
        """A commit by its key."""
        return next(one for one in self.chain_of(key).commits if one.key == key)
