"""Events in columns: what one request brought, in the order of its customers. Pure, in a hurry."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain, compress
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from metering.domain.events import EARLIEST

TOKENS, GPU, USAGE, VOID = 1, 2, 3, 4
_MICROSECOND = timedelta(microseconds=1)


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


@dataclass(slots=True)
class Columns:
    """Events in the order of their customers; of one customer, in the order of the request.

    One list a column, all of one length: `origin` is an index into `origins`, `occurred_us` counts
    microseconds since 2000, `place_in_request` counts from 0. `input_tokens` is the uncached input.
    `gpu_seconds` and `busy_gpu_seconds` are empty where no event has any. `extras` and `targets`
    (the keys of what voids take back) have an entry for few, by position.
    """

    origins: list[Origin] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    occurred_us: list[int] = field(default_factory=list)
    input_tokens: list[int] = field(default_factory=list)
    cached_input_tokens: list[int] = field(default_factory=list)
    output_tokens: list[int] = field(default_factory=list)
    reasoning_tokens: list[int] = field(default_factory=list)
    gpu_seconds: list[int] = field(default_factory=list)
    busy_gpu_seconds: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    fingerprints: list[int] = field(default_factory=list)
    place_in_request: list[int] = field(default_factory=list)
    extras: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.origin)

    def ref(self, position: int) -> tuple[int, bytes]:
        """Customer and key of an event."""
        return self.origins[self.origin[position]].customer_id, self.keys[position]

    def refs(self) -> list[tuple[int, bytes]]:
        """Customer and key of every event."""
        customers = [origin.customer_id for origin in self.origins]
        return list(zip([customers[one] for one in self.origin], self.keys, strict=True))

    def only(self, kept: Sequence[bool]) -> "Columns":
        """The events whose flag is set, in the same order."""
        if not any(kept):
            return Columns()
        used = sorted({self.origin[at] for at, keep in enumerate(kept) if keep})
        renumbered = {old: new for new, old in enumerate(used)}
        moved = {old: new for new, old in enumerate(compress(range(len(self)), kept))}
        return Columns(
            origins=[self.origins[one] for one in used],
            origin=[renumbered[one] for one in compress(self.origin, kept)],
            extras={moved[at]: said for at, said in self.extras.items() if at in moved},
            targets={moved[at]: key for at, key in self.targets.items() if at in moved},
            **{name: list(compress(getattr(self, name), kept)) for name in _BY_EVENT},
        )

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> tuple["Columns", list[int]]:
        """All events of some columns in one, in the order of their customers, and for each of them
        the index of the part that it came from. Those of one customer keep the order of the parts.
        """
        origins = sorted({origin: None for part in parts for origin in part.origins}, key=_CUSTOMER)
        numbers = {origin: number for number, origin in enumerate(origins)}
        renumbered = [[numbers[origin] for origin in part.origins] for part in parts]
        origin = [
            new[number]
            for part, new in zip(parts, renumbered, strict=True)
            for number in part.origin
        ]
        customers = [one.customer_id for one in origins]
        order = sorted(range(len(origin)), key=[customers[one] for one in origin].__getitem__)
        take = itemgetter(*order) if len(order) > 1 else lambda column: (column[order[0]],)
        found = cls(origins=origins, origin=list(take(origin)))
        has_hardware = any(part.gpu_seconds for part in parts)
        for name in _BY_EVENT:
            if has_hardware or name not in _OF_HARDWARE:
                column = [*chain.from_iterable(part.whole(name) for part in parts)]
                setattr(found, name, list(take(column)))
        moved = {old: new for new, old in enumerate(order)}
        before = 0
        for part in parts:
            for at, said in part.extras.items():
                found.extras[moved[before + at]] = said
            for at, key in part.targets.items():
                found.targets[moved[before + at]] = key
            before += len(part)
        owners = [index for index, part in enumerate(parts) for _ in range(len(part))]
        return found, list(take(owners))

    def add_further(self, position: int, extra: dict[str, Any] | None, gpu: int, busy: int) -> None:
        """What few events have. Positions must ascend."""
        if extra is not None:
            self.extras[position] = extra
        if gpu:
            # Most requests report no hardware at all, and so nothing in these columns.
            missing = position - len(self.gpu_seconds)
            self.gpu_seconds += [0] * missing + [gpu]
            self.busy_gpu_seconds += [0] * missing + [busy]

    def whole(self, name: str) -> list[Any]:
        """A column in full: those of hardware may end early, or be empty."""
        column: list[Any] = getattr(self, name)
        return column + [0] * (len(self) - len(column)) if name in _OF_HARDWARE else column

    def runs(self) -> list[Run]:
        """The stretches of one customer each."""
        customers = [origin.customer_id for origin in self.origins]
        hardware = {origin.customer_id for origin in self.origins if origin.kind == GPU}
        # Both counters keep the order in which customers come.
        origin_counts = Counter(customers)
        found = []
        place = origin_place = 0
        for customer_id, count in Counter([customers[one] for one in self.origin]).items():
            times = self.occurred_us[place : place + count]
            origin_count = origin_counts[customer_id]
            found.append(
                Run(
                    customer_id, place + 1, count, origin_place + 1, origin_count, min(times),
                    max(times), customer_id in hardware,
                )
            )  # fmt: skip
            place += count
            origin_place += origin_count
        return found


_OF_ALL = (
    "occurred_us", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "ids", "keys", "fingerprints", "place_in_request",
)  # fmt: skip
_OF_HARDWARE = ("gpu_seconds", "busy_gpu_seconds")
_BY_EVENT = (*_OF_ALL, *_OF_HARDWARE)
_CUSTOMER = attrgetter("customer_id")


def microseconds(instant: datetime) -> int:
    """Microseconds since 2000-01-01 UTC."""
    return (instant - EARLIEST) // _MICROSECOND


def instant_of(occurred_us: int) -> datetime:
    """The instant of so many microseconds since 2000-01-01 UTC."""
    return EARLIEST + timedelta(microseconds=occurred_us)


def month_of(instant: datetime) -> int:
    """Months since January 2000, UTC: which partition a chunk received then lies in."""
    return (instant.year - EARLIEST.year) * 12 + instant.month - 1
