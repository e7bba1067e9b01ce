"""What a request brings to be stored, and what it is told: batches of events and their results.

Everything here is done before any lock is held.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from metering.domain.chunks import MONTH_SHIFT
from metering.domain.columns import VOID, Columns, month_of
from metering.domain.events import Refusal
from metering.services import event_store

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
    """The events of one request that may be stored.

    `chunk_id` names the chunk that they may become; nobody else has it. `result` says what is
    known of the request's other events. A key may still come twice.
    """

    columns: Columns
    chunk_id: int
    now: datetime
    result: IngestResult
    has_voids: bool

    @classmethod
    def of(cls, columns: Columns, number: int, result: IngestResult, now: datetime) -> "Batch":
        """`number` is that of a chunk among all."""
        return cls(
            columns=columns,
            chunk_id=(month_of(now) << MONTH_SHIFT) + number,
            now=now,
            result=result,
            has_voids=any(origin.kind == VOID for origin in columns.origins),
        )

    def only(self, kept: Sequence[bool] | NDArray[np.bool_]) -> "Batch":
        """The same with those events only whose flag is set."""
        return replace(self, columns=self.columns.only(kept))

    def without_known(self) -> "Batch":
        """The same without the events that are stored already, each key once."""
        return replace(self, columns=without_known(self.columns, self.result))

    def refuse(self, position: int, code: str, detail: str) -> None:
        """Say why an event is not accepted."""
        self.result.refused.append(_refusal(self.columns, position, code, detail))


def without_known(columns: Columns, result: IngestResult) -> Columns:
    """The events of each key once, and none that are stored already; `result` is told of the
    others. What is stored stays as it is for ever, so no lock is needed to tell a duplicate from a
    conflict."""
    new = event_store.not_stored_alike(columns)
    result.duplicates += len(columns) - len(new)
    kept = np.zeros(len(columns), dtype=np.bool_)
    refs = columns.refs() if new else []
    prints: dict[tuple[int, bytes], int] = {}
    for position, is_stored in new:
        print_ = int(columns.fingerprints[position])
        kept[position] = not is_stored and refs[position] not in prints
        if kept[position]:
            prints[refs[position]] = print_
        elif prints.get(refs[position]) == print_:
            result.duplicates += 1
        else:
            result.refused.append(_refusal(columns, position, "conflict", OTHER_CONTENT))
    return columns.only(kept)


def _refusal(columns: Columns, position: int, code: str, detail: str) -> Refusal:
    return Refusal(int(columns.place_in_request[position]), columns.ids[position], code, detail)
