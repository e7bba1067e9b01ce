"""A run of booking: what it collects for many chains, and writes set-based in one go."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from billing.domain.journal import Entry
from billing.domain.money import ZERO
from billing.models import AuditEvent
from billing.services import invoices, ledger, row_sets
from billing.services.invoices import InvoiceDraft
from commits.domain.chain import QuarterFigures, UsageSlice
from commits.models import BookedDay, Close, Commit, Grant, Quarter, QuarterState
from commits.services.chains import ChainState, booked_slices
from commits.services.grants import save_grants


@dataclass(slots=True)
class Booking:
    """What one run will write: collected for many chains, then written set-based.

    Rows are kept by their identity, because new ones have no key yet and none is written twice.
    """

    now: datetime
    entries: list[Entry] = field(default_factory=list)
    days: list[BookedDay] = field(default_factory=list)
    grants: dict[int, Grant] = field(default_factory=dict)
    quarters: dict[int, Quarter] = field(default_factory=dict)
    received: dict[int, Quarter] = field(default_factory=dict)
    origins: dict[UUID, Commit] = field(default_factory=dict)
    closes: dict[int, Close] = field(default_factory=dict)
    invoices: list[InvoiceDraft] = field(default_factory=list)
    traces: list[AuditEvent] = field(default_factory=list)
    dates: ledger.OpenDates = field(default_factory=ledger.OpenDates)

    def touch(self, quarter: Quarter) -> None:
        """Remember that what a quarter says has changed."""
        self.quarters[quarter.pk] = quarter

    def receive(self, quarter: Quarter) -> None:
        """Remember that nothing but what rolled into a quarter has changed."""
        self.received[quarter.pk] = quarter

    def project(self, grants: Iterable[Grant]) -> None:
        """Remember grants whose figures have changed."""
        self.grants |= {id(grant): grant for grant in grants}

    def settle(self, close: Close) -> None:
        """Remember a close that is new or has changed."""
        self.closes[id(close)] = close

    def open_date(self, instant: datetime) -> date:
        """The first date that may be booked on, not before the UTC date of an instant."""
        return self.dates.first(instant.astimezone(UTC).date())


def write_booking(booking: Booking) -> None:
    """Write what a run has collected; inside the caller's transaction."""
    ledger.post_entries(entries=booking.entries, now=booking.now)
    BookedDay.objects.bulk_create(
        booking.days,
        update_conflicts=True,
        unique_fields=["quarter", "day"],
        update_fields=["amount"],
    )
    invoices.draft_invoices(booking.invoices, now=booking.now)
    save_grants(list(booking.grants.values()))
    row_sets.update_rows(booking.quarters.values(), QUARTER_FIELDS)
    received = [item for pk, item in booking.received.items() if pk not in booking.quarters]
    row_sets.update_rows(received, ["booked_rolled_in"])
    row_sets.update_rows(booking.origins.values(), ["book_runs", "booked_seq"])
    closes = booking.closes.values()
    row_sets.update_rows([close for close in closes if close.pk], CLOSE_FIELDS)
    row_sets.insert_rows([close for close in closes if not close.pk])
    row_sets.insert_rows(booking.traces)


QUARTER_FIELDS = [
    "state",
    "posted_at",
    "invoice",
    "booked_drawn",
    "booked_overage",
    "booked_rolled_in",
    "booked_rolled_out",
    "booked_breakage_paid",
    "booked_breakage_credit",
    "booked_usage",
    "overage_given_back",
    "closed_overage",
    "overage_billed_cents",
    "late_billed_cents",
    "billed_groups",
    "refunded_cents",
    "refund_residue",
]
CLOSE_FIELDS = [
    "state",
    "inputs",
    "plan",
    "digest",
    "needs_human",
    "planned_at",
    "planned_by",
    "approved_at",
    "approved_by",
    "posted_at",
]


def frozen_through(state: ChainState) -> int:
    """The position up to which an approved close holds the chain still (0: none)."""
    current = state.open_quarter
    return current.position if current and current.state == QuarterState.APPROVED else 0


def booked_view(state: ChainState) -> dict[int, tuple[UsageSlice, ...]]:
    """Usage by position as the journal has it."""
    return {quarter.position: booked_slices(quarter) for quarter in state.quarters}


def usage_as_json(slices: Sequence[UsageSlice]) -> list[list[str | None]]:
    """Usage slices as a quarter stores them."""
    return [
        [piece.until.isoformat() if piece.until else None, str(piece.amount)] for piece in slices
    ]


def holds_usage(quarter: Quarter, slices: Sequence[UsageSlice]) -> bool:
    """Whether this is the usage of a quarter that the books hold; at first they hold none."""
    return bool(usage_as_json(slices) == (quarter.booked_usage or _NO_USAGE))


_NO_USAGE = usage_as_json([UsageSlice(ZERO)])


def record_booked(quarter: Quarter, figures: QuarterFigures) -> None:
    """Let a quarter's booked figures be these."""
    quarter.booked_drawn = figures.drawn
    quarter.booked_overage = figures.overage
    quarter.booked_rolled_in = figures.rolled_in
    quarter.booked_rolled_out = figures.rolled_out
    quarter.booked_breakage_paid = figures.breakage_paid
    quarter.booked_breakage_credit = figures.breakage_credit


def entry_key(state: ChainState, quarter: Quarter, what: str) -> str:
    return f"usage/{state.origin.pk}/{state.origin.book_runs}/{quarter.position}/{what}"


def evidence(state: ChainState) -> dict[str, object]:
    """Which events an entry books: the customer's ingest sequence, from (exclusive) to, and how
    often usage that waited had been rated by then."""
    return {
        "after_seq": state.origin.booked_seq,
        "through_seq": state.ingest_seq,
        "through_rated": state.rated_seq,
    }
