"""Accounting dates: every entry stands on the first open date that its base allows.

The base is the UTC date of the usage that it books; of late usage the date on which its quarter
was posted; of everything else the day of its booking. Months are locked and unlocked on both
sides; which are locked is kept here, apart from the product's own table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import Any
from uuid import UUID


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


@dataclass
class Dates:
    """The locked months, and how far the journal has been looked at."""

    locked: set[date] = field(default_factory=set)
    seen: int = 0

    def first_open(self, base: date) -> date:
        """The first date from `base` on in no locked month."""
        day = base
        while month_of(day) in self.locked:
            day = month_of(month_of(day) + timedelta(days=31))
        return day

    def broken(self) -> list[str]:
        """What is wrong with entries that are new since the last look."""
        from billing.models import JournalEntry

        found = []
        for entry in JournalEntry.objects.filter(pk__gt=self.seen).order_by("pk"):
            self.seen = entry.pk
            right = self.first_open(_base_of(entry))
            if entry.accounting_date != right:
                found.append(f"{entry.key} is dated {entry.accounting_date}, not {right}")
        return found


def _base_of(entry: Any) -> date:
    from commits.models import Quarter

    if entry.usage_date is not None:
        return date.fromisoformat(str(entry.usage_date))
    if entry.code == "usage.late":
        _, origin, _, position, _ = entry.key.split("/")
        posted: Any = Quarter.objects.get(origin=UUID(origin), position=int(position)).posted_at
        return date.fromisoformat(str(posted.astimezone(UTC).date()))
    return date.fromisoformat(str(entry.booked_at.astimezone(UTC).date()))
