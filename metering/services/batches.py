"""What a request brings to be stored, and what it is told: batches of rows and their results.

Everything here is done before any lock is held.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from metering.domain.events import Refusal, VoidEvent
from metering.domain.rows import Row
from metering.services import event_store
from metering.services.drawing_up import Group, sum_up

OTHER_CONTENT = "this source and id came before with other content"


@dataclass(slots=True)
class IngestResult:
    """What became of a request's events. `unrated` of the `accepted` wait to be rated."""

    accepted: int = 0
    duplicates: int = 0
    unrated: int = 0
    refused: list[Refusal] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """The events of one request that can be stored, distinct and sorted, with their sums."""

    arrival: int
    rows: list[Row]
    sums: dict[Group, int]
    now: datetime
    duplicates: int
    refused: list[Refusal]
    has_voids: bool

    @classmethod
    def of(cls, rows: list[Row], refused: list[Refusal], now: datetime) -> "Batch":
        """Of several rows with one key the first one counts."""
        distinct, same, other = once_each(rows)
        return cls(
            arrival=rows[0].arrival if rows else 0,
            rows=distinct,
            sums=sum_up(distinct),
            now=now,
            duplicates=len(same),
            refused=[*refused, *(refusal(row, "conflict", OTHER_CONTENT) for row in other)],
            has_voids=any(isinstance(row.event, VoidEvent) for row in distinct),
        )

    def fresh_result(self) -> IngestResult:
        """What is known of its events before any is stored."""
        return IngestResult(duplicates=self.duplicates, refused=list(self.refused))


def refusal(row: Row, code: str, detail: str) -> Refusal:
    """Why the event of a row is not accepted."""
    return Refusal(row.place, row.event.id, code, detail)


def once_each(rows: list[Row]) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows sorted by customer and key: the first of each key, its repetitions, and its conflicts.

    Sorts the list that it is given.
    """
    rows.sort()
    if all(one[1] != other[1] or one[0] != other[0] for one, other in pairwise(rows)):
        return rows, [], []
    first: list[Row] = []
    same: list[Row] = []
    other_content: list[Row] = []
    for row in rows:
        if not first or first[-1][:2] != row[:2]:
            first.append(row)
        elif first[-1].fingerprint == row.fingerprint:
            same.append(row)
        else:
            other_content.append(row)
    return first, same, other_content


def without_known(batch: Batch) -> Batch:
    """The batch without the events that are stored already: they stay as they are for ever."""
    known = event_store.fingerprints(refs=[row[:2] for row in batch.rows])
    new, duplicates, conflicts = event_store.split(batch.rows, known)
    return replace(
        batch,
        rows=new,
        sums=sum_up(new),
        duplicates=batch.duplicates + len(duplicates),
        refused=[*batch.refused, *(refusal(row, "conflict", OTHER_CONTENT) for row in conflicts)],
    )
