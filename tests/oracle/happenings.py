"""The timed things that happen to the ledger. `at` is when we received or booked each."""

from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction

from .terms import Commit, Price


@dataclass(frozen=True, kw_only=True)
class Happening:
    """Anything that arrives; arrivals are applied in the order of `at`."""

    at: datetime


@dataclass(frozen=True, kw_only=True)
class Sign(Happening):
    """A commit is activated: its first instalment is invoiced."""

    commit: Commit


@dataclass(frozen=True, kw_only=True)
class Use(Happening):
    """A usage event with disjoint meters (see `token_meters` for reported tokens)."""

    customer: str
    id: str
    occurred_at: datetime
    model: str
    quantities: tuple[tuple[str, int], ...]
    mode: str = "serverless"
    source: str = "gateway"


@dataclass(frozen=True, kw_only=True)
class Void(Happening):
    """An event that takes back the event it names."""

    customer: str
    id: str
    target_id: str
    source: str = "gateway"
    target_source: str = "gateway"


@dataclass(frozen=True, kw_only=True)
class Batch(Happening):
    """Events that arrive as one: a void may stand before its target, differences are net."""

    events: tuple[Use | Void, ...]


@dataclass(frozen=True, kw_only=True)
class Correct(Happening):
    """Finance takes an event back, perhaps with another in its place: both or neither."""

    customer: str
    target_id: str
    target_source: str = "gateway"
    instead: Use | None = None


@dataclass(frozen=True, kw_only=True)
class Waive(Happening):
    """Finance gives up an event that cannot be rated: it no longer blocks a close."""

    customer: str
    id: str
    source: str = "gateway"


@dataclass(frozen=True, kw_only=True)
class AddPrice(Happening):
    """A list price enters the price book."""

    price: Price


@dataclass(frozen=True, kw_only=True)
class AddOverride(Happening):
    """A price of one commit alone, added in mid-contract (approved)."""

    commit: str
    price: Price


@dataclass(frozen=True, kw_only=True)
class AddPrivatePrice(Happening):
    """A list price that one customer alone sees (approved)."""

    customer: str
    price: Price


@dataclass(frozen=True, kw_only=True)
class RequestTrueUp(Happening):
    """A customer or finance asks for more per quarter; nothing changes before approval."""

    commit: str
    key: str
    amount: Fraction
    from_quarter: int | None = None
    through_quarter: int | None = None
    discount: Fraction | None = None
    effective_at: datetime | None = None
    bill_now: bool = False


@dataclass(frozen=True, kw_only=True)
class ApproveTrueUp(Happening):
    """A finance user approves a request."""

    key: str


@dataclass(frozen=True, kw_only=True)
class Credit(Happening):
    """An SLA or promotional credit, at its approval."""

    commit: str
    key: str
    amount: Fraction
    quarter: int | None = None
    expires_at: datetime | None = None
    rolls_over: bool = False


@dataclass(frozen=True, kw_only=True)
class Close(Happening):
    """The daily job: closes every quarter that is due, settles what ended commits leave."""


@dataclass(frozen=True, kw_only=True)
class ApproveClose(Happening):
    """Finance approves the close of a quarter that is due, which freezes its usage.

    `meanwhile` arrives between the approval and the post: it is late.
    """

    commit: str
    quarter: int
    meanwhile: tuple[Use | Void, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Advance(Happening):
    """The clock is set forward: each skipped day's job runs once, at its own instant."""


@dataclass(frozen=True, kw_only=True)
class LockMonth(Happening):
    """Finance locks the accounting period of a month (its first day), once it is over."""

    month: date


@dataclass(frozen=True, kw_only=True)
class UnlockMonth(Happening):
    """Two finance users unlock it."""

    month: date


@dataclass(frozen=True, kw_only=True)
class Finalize(Happening):
    """A draft invoice is issued (only where the world does not issue at once)."""

    invoice: int


@dataclass(frozen=True, kw_only=True)
class Tax(Happening):
    """From now on Stripe puts this share on top of an invoice when it is issued."""

    share: Fraction


@dataclass(frozen=True, kw_only=True)
class Pay(Happening):
    """An invoice is paid in full, through Stripe or outside."""

    invoice: int
    through: str = "stripe"


@dataclass(frozen=True, kw_only=True)
class VoidInvoice(Happening):
    """An unpaid invoice is voided; its lines stay billed and no grant is withdrawn."""

    invoice: int


@dataclass(frozen=True, kw_only=True)
class Reissue(Happening):
    """A voided invoice returns as its next revision with the same lines."""

    invoice: int


@dataclass(frozen=True, kw_only=True)
class TakeBack(Happening):
    """A credit note that two finance users make: of usage lines, or of money billed in advance."""

    invoice: int
    cents: int
    usage: bool


@dataclass(frozen=True, kw_only=True)
class Uncollectible(Happening):
    """Nobody will pay an issued invoice: the claim is given up, the balance stays."""

    invoice: int


@dataclass(frozen=True, kw_only=True)
class WriteOff(Happening):
    """Two finance users give up what a voided invoice billed, for good."""

    invoice: int


def token_meters(
    input_tokens: int, cached: int = 0, output: int = 0
) -> tuple[tuple[str, int], ...]:
    """Reported tokens as disjoint meters: uncached input = input - cached."""
    if not 0 <= cached <= input_tokens:
        raise ValueError("cached input tokens are part of the input tokens")
    return (
        ("input_tokens", input_tokens - cached),
        ("cached_input_tokens", cached),
        ("output_tokens", output),
    )
