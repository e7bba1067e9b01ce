"""The journal's entries of usage, read back: which events each of them books.

The key of such an entry names its chain, the run of booking, the quarter's position and what it
books: a UTC day of usage or `late` usage; or else none (money that covers overage, overage given
back). The usage dollars of an entry are what it added to usage revenue and overage revenue.

An entry's evidence names the run of booking, not the quarter: while an approved close holds a
quarter still, runs go on without it, so the events of an entry may lie before its `after_seq`. But
each run leaves a quarter either frozen or booked as of its `through_seq`. So the entries of a
quarter tile: each books what its quarter (and day) came to at its own run, less what it came to at
the entry before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import QuerySet, Sum
from django.db.models.expressions import Case, F, Value, When
from django.db.models.functions import Coalesce

from billing.domain.journal import AccountCode
from billing.domain.money import ZERO
from billing.models import JournalEntry
from billing.models.fields import money_field
from commits.models import Quarter
from metering.services.recount import NOTHING, Cutoff

LATE, DROPPED = "late", "dropped"


@dataclass(frozen=True, slots=True)
class KeyParts:
    """What the key of a usage entry says."""

    origin: UUID
    run: str
    position: int
    what: str

    @property
    def books_usage(self) -> bool:
        """Whether the entry books usage by its events, of a day or late."""
        return self.run != DROPPED and (self.what == LATE or self.what[:4].isdigit())


@dataclass(frozen=True, slots=True)
class UsageEntry:
    """One entry of usage: signed dollars, and the point of the usage that it booked up to."""

    id: int
    code: str
    what: str
    usage_date: date | None
    booked_at: datetime
    drawn: Decimal
    overage: Decimal
    through: Cutoff

    @property
    def amount(self) -> Decimal:
        """Exact dollars of usage that the entry books."""
        return self.drawn + self.overage


def key_parts(key: str) -> KeyParts | None:
    """The parts of the key of a usage entry; None for any other entry."""
    parts = key.split("/")
    if parts[0] != "usage" or len(parts) != 5:
        return None
    return KeyParts(UUID(parts[1]), parts[2], int(parts[3]), parts[4])


def usage_entries(*, quarter: Quarter) -> list[UsageEntry]:
    """All usage entries of one quarter in the order of booking, those that came late included."""
    prefix = f"usage/{quarter.origin_id}/"
    rows = _with_dollars(
        JournalEntry.objects.filter(
            key__startswith=prefix, key__regex=rf"^{prefix}[^/]+/{quarter.position}/"
        )
    ).order_by("pk")
    found: list[UsageEntry] = []
    for row in rows:
        parts = key_parts(row["key"])
        if parts is None:
            continue
        if parts.run == DROPPED:
            # A quarter that was opened ahead at this place went away: its entries add up to zero.
            found.clear()
            continue
        if not parts.books_usage:
            continue
        evidence = row["evidence"]
        through = Cutoff(
            int(evidence["through_seq"]), row["booked_at"], evidence.get("through_rated")
        )
        found.append(
            UsageEntry(
                row["id"], row["code"], parts.what, row["usage_date"], row["booked_at"],
                row["drawn"], row["overage"], through,
            )
        )  # fmt: skip
    return found


def _with_dollars(rows: QuerySet[JournalEntry]) -> QuerySet[JournalEntry, Any]:
    def credited(code: AccountCode) -> Coalesce:
        amount = Case(When(postings__account__code=code.value, then=-F("postings__amount")))
        return Coalesce(Sum(amount, output_field=money_field()), Value(ZERO))

    return rows.values("id", "key", "code", "usage_date", "booked_at", "evidence").annotate(
        drawn=credited(AccountCode.USAGE_REVENUE), overage=credited(AccountCode.OVERAGE_REVENUE)
    )


def cutoff_before(entries: Sequence[UsageEntry], entry: UsageEntry) -> Cutoff:
    """The usage that the quarter had booked before this entry: that of a day for a day's entry."""
    before = [one for one in entries if one.id < entry.id]
    if entry.what != LATE:
        before = [one for one in before if one.usage_date == entry.usage_date]
    return last_cutoff(before)


def last_cutoff(entries: Sequence[UsageEntry]) -> Cutoff:
    """Up to where these entries have booked: nothing if there are none."""
    return max(
        (one.through for one in entries),
        key=lambda c: (c.through_seq, c.rated_seq or 0, c.at),
        default=NOTHING,
    )
