"""A run of booking: what it collects for many chains, and writes set-based in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.domain.journal import Entry
from billing.services import ledger
from commits.domain.chain import QuarterFigures, UsageSlice
from commits.models import BookedDay, Commit, Grant, Quarter, QuarterState
from commits.services.chains import ChainState, booked_slices
from commits.services.grants import save_grants


@dataclass(slots=True)
class Booking:
    """What one run will write: collected for many chains, then written set-based."""

    now: datetime
    entries: list[Entry] = field(default_factory=list)
    days: list[BookedDay] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    quarters: dict[int, Quarter] = field(default_factory=dict)
    origins: dict[UUID, Commit] = field(default_factory=dict)

    def touch(self, quarter: Quarter) -> None:
        """Remember that this quarter's booked figures have changed."""
        self.quarters[quarter.pk] = quarter


def write_booking(booking: Booking) -> None:
    """Write entries and what has been booked; inside the caller's transaction."""
    ledger.post_entries(entries=booking.entries, now=booking.now)
    BookedDay.objects.bulk_create(
        booking.days,
        update_conflicts=True,
        unique_fields=["quarter", "day"],
        update_fields=["amount"],
    )
    save_grants(booking.grants)
    Quarter.objects.bulk_update(booking.quarters.values(), QUARTER_FIELDS, batch_size=500)
    Commit.objects.bulk_update(
        booking.origins.values(), ["book_runs", "booked_seq"], batch_size=500
    )


QUARTER_FIELDS = [
    "booked_drawn",
    "booked_overage",
    "booked_rolled_in",
    "booked_rolled_out",
    "booked_breakage_paid",
    "booked_breakage_credit",
    "booked_usage",
    "overage_given_back",
    "refunded_cents",
    "refund_residue",
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
    """Which events an entry books: the customer's ingest sequence, from (exclusive) to."""
    return {"after_seq": state.origin.booked_seq, "through_seq": state.ingest_seq}
