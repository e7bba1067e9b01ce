"""Events in columns: what requests brought. Pure, in a hurry."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metering.domain.events import EARLIEST

TOKENS, GPU, USAGE, VOID = 1, 2, 3, 4
_MICROSECOND = timedelta(microseconds=1)

Integers = NDArray[np.int64]
# The columns of an event's figures. The input is the uncached one; times are microseconds.
FIGURES = 7
OCCURRED, INPUT, CACHED_INPUT, OUTPUT, REASONING, GPU_TIME, BUSY_GPU_TIME = range(FIGURES)


class Origin(NamedTuple):
    """What events of a chunk may have in common."""

    customer_id: int
    kind: int
    model: str
    mode: str
    source: str
    project: str | None
    endpoint: str | None
    region: str | None
    is_async: bool | None


class Run(NamedTuple):
    """The events of one customer in a chunk. Places and origins count from 1."""

    customer_id: int
    first_place: int
    event_count: int
    first_origin: int
    origin_count: int
    first_us: int
    last_us: int
    has_hardware: bool


@dataclass(slots=True, eq=False)
class Columns:
    """Events in the order of their request; once they are joined, in that of their customers' ids.

    A row an event: `origin` (n) is an index into `origins`, which have an event each; `figures`
    (n x FIGURES) are numbers named above, times since 2000; `keys` (n x 2) the halves of an event
    key as numbers; `place_in_request` (n) counts from 0. `extras` and `targets` (the keys of what
    voids take back) have an entry for few, by position.
    """

    origins: list[Origin]
    origin: Integers
    figures: Integers
    ids: list[str]
    keys: NDArray[np.uint64]
    fingerprints: NDArray[np.uint32]
    place_in_request: Integers
    extras: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def customers(self) -> Integers:
        """The customer of every event."""
        return self._customers_of_origins()[self.origin]

    def refs(self) -> list[tuple[int, bytes]]:
        """Customer and key of every event."""
        packed = self.keys.astype(">u8").tobytes()
        keys = [packed[at : at + 16] for at in range(0, len(packed), 16)]
        return list(zip(self.customers().tolist(), keys, strict=True))

    def only(self, kept: Sequence[bool] | NDArray[np.bool_]) -> "Columns":
        """The events whose flag is set, in the same order."""
        found = self.taken(np.flatnonzero(np.asarray(kept, dtype=np.bool_)))
        used, found.origin = np.unique(found.origin, return_inverse=True)
        found.origins = [self.origins[one] for one in used.tolist()]
        return found

    def taken(self, rows: Integers) -> "Columns":
        """The events at some positions, in their order, which is for the caller to keep."""
        ids = self.ids
        found = Columns(
            self.origins,
            self.origin[rows],
            self.figures[rows],
            [ids[one] for one in rows.tolist()],
            self.keys[rows],
            self.fingerprints[rows],
            self.place_in_request[rows],
        )
        if self.extras:
            moved = {old: new for new, old in enumerate(rows.tolist())}
            found.extras = {moved[at]: said for at, said in self.extras.items() if at in moved}
            found.targets = {moved[at]: key for at, key in self.targets.items() if at in moved}
        return found

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> tuple["Columns", Integers]:
        """All events of some columns, and all origins, in the order of their customers' ids; and
        where each event stood when one part followed the other. Those of one customer keep their
        order."""
        origins = sorted({origin: None for part in parts for origin in part.origins}, key=_CUSTOMER)
        numbers = {origin: number for number, origin in enumerate(origins)}
        together = cls(
            origins,
            np.concatenate(
                [
                    np.array([numbers[one] for one in part.origins], dtype=np.int64)[part.origin]
                    for part in parts
                ]
            ),
            np.concatenate([part.figures for part in parts]),
            [one for part in parts for one in part.ids],
            np.concatenate([part.keys for part in parts]),
            np.concatenate([part.fingerprints for part in parts]),
            np.concatenate([part.place_in_request for part in parts]),
        )
        before = 0
        for part in parts:
            together.extras |= {before + at: said for at, said in part.extras.items()}
            together.targets |= {before + at: key for at, key in part.targets.items()}
            before += len(part)
        order = np.argsort(together.customers(), kind="stable")
        return together.taken(order), order

    def runs(self) -> list[Run]:
        """The stretches of one customer each, of joined columns."""
        customers, of_origins = self.customers(), self._customers_of_origins()
        starts, first_origins = _changes(customers), _changes(of_origins)
        times = self.figures[:, OCCURRED]
        columns = (
            customers[starts],
            starts + 1,
            np.diff(starts, append=len(self)),
            first_origins + 1,
            np.diff(first_origins, append=len(self.origins)),
            np.minimum.reduceat(times, starts),
            np.maximum.reduceat(times, starts),
        )
        hardware = {origin.customer_id for origin in self.origins if origin.kind == GPU}
        return [
            Run._make((*row, row[0] in hardware))
            for row in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _customers_of_origins(self) -> Integers:
        return np.array([origin.customer_id for origin in self.origins], dtype=np.int64)


_CUSTOMER = attrgetter("customer_id")


def _changes(values: Integers) -> Integers:
    """Where a stretch of equal values begins."""
    begins = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=begins[1:])
    return np.flatnonzero(begins)


def microseconds(instant: datetime) -> int:
    """Microseconds since 2000-01-01 UTC."""
    return (instant - EARLIEST) // _MICROSECOND


def instant_of(occurred_us: int) -> datetime:
    """The instant of so many microseconds since 2000-01-01 UTC."""
    return EARLIEST + timedelta(microseconds=occurred_us)


def month_of(instant: datetime) -> int:
    """Months since January 2000, UTC: which partition a chunk received then lies in."""
    return (instant.year - EARLIEST.year) * 12 + instant.month - 1
