"""Events in columns: what one request brought, packed as PostgreSQL keeps it. Pure, in a hurry.

A chunk is one row that holds many events, an array a column; what events have in common (customer,
model, mode, source, project, labels) stands once in it, as an origin. Beside it each event has a
narrow row with its key, which makes it unique for ever. Events lie in the order of their customers,
so those of one customer, and their origins, are a stretch of the chunk: a run.
"""

import hashlib
import struct
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain, compress
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from metering.domain.copy_format import (
    FILE_HEADER,
    FILE_TRAILER,
    INSTANT,
    JSONB,
    LENGTH,
    NULL,
    TEXT,
    array,
    bigints,
    jsonb,
    smallints,
    text,
    texts,
)
from metering.domain.events import (
    EARLIEST,
    FUTURE,
    Event,
    GpuEvent,
    QuantitiesEvent,
    Refusal,
    TokensEvent,
    VoidEvent,
    problem_of,
)

KEY_COLUMNS = "customer_id, event_key, chunk_id, fingerprint, place"
CHUNK_COLUMNS = (
    "id, received_at, origin_customers, origin_kinds, origin_models, origin_modes, origin_sources,"
    " origin_projects, origin_labels, origins, occurred_at, input_tokens, cached_input_tokens,"
    " output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_ids, extras"
)
RUN_COLUMNS = (
    "customer_id, first_seq, chunk_id, first_at, last_at, first_place, event_count, first_origin,"
    " origin_count, has_hardware"
)
_CHUNK_COLUMN_COUNT = 19
_RUN_ROW = struct.Struct(">hiqiqiqiqiqihihihihi?").pack
_KEY_ROW = struct.Struct(">hiqi16siqiIih").pack
_CHUNK_HEAD = struct.Struct(">hiqiq").pack
_CONTENT = struct.Struct(">qqqqqqq").pack
_MICROSECOND = timedelta(microseconds=1)
_PERSON = b"usage-event-1"

TOKENS, GPU, USAGE, VOID = 1, 2, 3, 4
MONTH_SHIFT = 40  # bits of a chunk's number within its month; above them stands the month


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


# In the order in which the loop below has them.
_OF_ALL = (
    "origin", "occurred_us", "input_tokens", "cached_input_tokens", "output_tokens",
    "reasoning_tokens", "ids", "keys", "fingerprints", "place_in_request",
)  # fmt: skip
_OF_HARDWARE = ("gpu_seconds", "busy_gpu_seconds")
_BY_EVENT = (*_OF_ALL[1:], *_OF_HARDWARE)
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


class EventKeys:
    """Makes event keys. `secret` is the key of the hash."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=16, key=secret, person=_PERSON)
        self._sources: dict[str, hashlib.blake2b] = {}

    def key(self, source: str, event_id: str) -> bytes:
        """The key of one event."""
        known = self._sources.get(source)
        if known is None:
            packed = source.encode()
            known = self._sources[source] = self._keyed.copy()
            known.update(LENGTH(len(packed)) + packed)
        hashed = known.copy()
        hashed.update(event_id.encode())
        return hashed.digest()


def columns_of(
    events: Sequence[Event | Refusal],
    *,
    customers: Mapping[str, int],
    meters: Set[str],
    secret: bytes,
    now: datetime,
) -> tuple[Columns, list[Refusal]]:
    """The events that can be accepted, and why the others cannot.

    `customers` gives the ids of those that may be reported for, `meters` those defined.
    """
    refused = [event for event in events if isinstance(event, Refusal)]
    order = [at for at, event in enumerate(events) if not isinstance(event, Refusal)]
    order.sort(key=[getattr(event, "subject", "") for event in events].__getitem__)
    found = Columns()
    keys, numbers = EventKeys(secret), dict[tuple[Any, ...], int]()
    sums: list[int] = []  # of each origin
    latest = microseconds(now + FUTURE)
    # One tuple an event, turned into columns at the end: at 100,000 events a second there are ten
    # microseconds for one, in all.
    rows: list[tuple[Any, ...]] = []
    add = rows.append
    for at in order:
        event: Any = events[at]
        occurred_us = (event.time - EARLIEST) // _MICROSECOND
        source, data = event.source, event.data
        if type(event) is TokensEvent:
            cached, output = data.cached_input_tokens, data.output_tokens
            uncached, reasoning = data.input_tokens - cached, data.reasoning_tokens
            gpu = busy = 0
            asked = (
                event.subject, data.model, data.mode, source, data.project, data.endpoint,
                data.region, data.is_async,
            )  # fmt: skip
            is_sound = uncached >= 0 and reasoning <= output
            extra = None
        else:
            uncached = cached = output = reasoning = 0
            asked, gpu, busy, extra, is_sound = _rarer(event, meters)
        is_sound = is_sound and 0 <= occurred_us <= latest
        number = numbers.get(asked)
        if number is None and is_sound and event.subject in customers:
            origin = _origin(customers[event.subject], event, asked)
            number = numbers[asked] = len(found.origins)
            found.origins.append(origin)
            sums.append(_checksum(origin))
        if number is None or not is_sound:
            refused.append(_refusal(at, event, customers, meters, now))
            continue
        content = (occurred_us, uncached, cached, output, reasoning, gpu, busy)
        print_ = _fingerprint(sums[number], content, extra)
        if extra is not None:
            found.extras[len(rows)] = extra
            if type(event) is VoidEvent:
                found.targets[len(rows)] = keys.key(data.source, data.id)
        if gpu:
            # Most chunks hold no hardware at all, and so nothing in these columns.
            missing = len(rows) - len(found.gpu_seconds)
            found.gpu_seconds += [0] * missing + [gpu]
            found.busy_gpu_seconds += [0] * missing + [busy]
        add(
            (
                number, occurred_us, uncached, cached, output, reasoning, event.id,
                keys.key(source, event.id), print_, at,
            )
        )  # fmt: skip
    if rows:
        for name, column in zip(_OF_ALL, zip(*rows, strict=True), strict=True):
            setattr(found, name, list(column))
    return found, refused


def _rarer(
    event: Event, meters: Set[str]
) -> tuple[tuple[Any, ...], int, int, dict[str, Any] | None, bool]:
    """What all may have in common, GPU-seconds, busy ones, what else was said, whether sound."""
    gpu = busy = 0
    extra: dict[str, Any] | None = None
    is_sound = True
    if isinstance(event, GpuEvent):
        gpu, busy = event.data.gpu_seconds, event.data.busy_gpu_seconds
        is_sound = busy <= gpu
        model = event.data.sku
    elif isinstance(event, QuantitiesEvent):
        extra = {"quantities": event.data.quantities}
        is_sound = meters >= event.data.quantities.keys()
        model = event.data.model
    elif isinstance(event, VoidEvent):
        target = {"source": event.data.source, "id": event.data.id}
        extra = {"target": target}
        if event.data.reason is not None:
            extra["reason"] = event.data.reason
        return (event.subject, "", "", event.source, VOID), 0, 0, extra, True
    else:
        raise TypeError("there are four types of events")
    said = event.data
    kind = GPU if isinstance(event, GpuEvent) else USAGE
    asked = (
        event.subject, model, said.mode, event.source, said.project, said.endpoint, said.region,
        said.is_async, kind,
    )  # fmt: skip
    return asked, gpu, busy, extra, is_sound


def _origin(customer_id: int, event: Event, asked: tuple[Any, ...]) -> Origin:
    """`asked` as the loop above makes it: without a kind for tokens, without labels for a void."""
    _, model, mode, source, *rest = asked
    if isinstance(event, VoidEvent):
        return Origin(customer_id, VOID, model, mode, source, None, None, None, None)
    project, endpoint, region, is_async, *kind = rest
    return Origin(
        customer_id, kind[0] if kind else TOKENS, model, mode, source, project, endpoint, region,
        is_async,
    )  # fmt: skip


def _checksum(origin: Origin) -> int:
    """Of what of an event's content its origin holds. Customer and source are in the key."""
    return crc32(msgspec.json.encode([*origin[1:4], *origin[5:]]))


def fingerprint(
    origin: Origin, content: tuple[int, int, int, int, int, int, int], extra: object
) -> int:
    """The checksum of an event's content: never 0. `content` is its time, uncached input, cached,
    output, reasoning, GPU-seconds and busy ones."""
    return _fingerprint(_checksum(origin), content, extra)


def _fingerprint(of_origin: int, content: tuple[int, ...], extra: object) -> int:
    found = crc32(_CONTENT(*content), of_origin)
    if extra is not None:
        found = crc32(msgspec.json.encode(extra, order="sorted"), found)
    return found or 1


def _refusal(
    at: int, event: Event, customers: Mapping[str, int], meters: Set[str], now: datetime
) -> Refusal:
    problem = problem_of(event, now)
    if event.subject not in customers:
        detail = f"no customer {event.subject!r} that this key may report for"
        return Refusal(at, event.id, "unknown_customer", detail)
    if problem is None and isinstance(event, QuantitiesEvent):
        unknown = ", ".join(sorted(event.data.quantities.keys() - meters))
        return Refusal(at, event.id, "invalid_event", f"no such meter: {unknown}")
    if problem is None:
        raise AssertionError("unreachable")
    return Refusal(at, event.id, *problem)


def key_rows(columns: Columns, chunk_id: int) -> list[bytes]:
    """Rows of a binary COPY of KEY_COLUMNS, unsorted; as bytes they sort by customer and key."""
    customers = [origin.customer_id for origin in columns.origins]
    return [
        _KEY_ROW(5, 8, customers[origin], 16, key, 8, chunk_id, 4, print_, 2, place)
        for place, (origin, key, print_) in enumerate(
            zip(columns.origin, columns.keys, columns.fingerprints, strict=True), 1
        )
    ]


def chunk_row(columns: Columns, chunk_id: int, received_us: int) -> bytes:
    """A row of a binary COPY of CHUNK_COLUMNS."""
    origins = columns.origins
    has_hardware = bool(columns.gpu_seconds)
    extras = [NULL] * len(columns) if columns.extras else []
    for position, said in columns.extras.items():
        extras[position] = jsonb(said)
    return b"".join(
        (
            _CHUNK_HEAD(_CHUNK_COLUMN_COUNT, 8, chunk_id, 8, received_us),
            bigints([origin.customer_id for origin in origins]),
            smallints([origin.kind for origin in origins]),
            array(TEXT, [text(origin.model) for origin in origins]),
            array(TEXT, [text(origin.mode) for origin in origins]),
            array(TEXT, [text(origin.source) for origin in origins]),
            array(TEXT, [text(origin.project) for origin in origins]),
            array(JSONB, [_labels(one.endpoint, one.region, one.is_async) for one in origins]),
            smallints([number + 1 for number in columns.origin]),
            bigints(columns.occurred_us, INSTANT),
            bigints(columns.input_tokens),
            bigints(columns.cached_input_tokens),
            bigints(columns.output_tokens),
            bigints(columns.reasoning_tokens),
            bigints(columns.whole("gpu_seconds")) if has_hardware else NULL,
            bigints(columns.whole("busy_gpu_seconds")) if has_hardware else NULL,
            texts(columns.ids),
            array(JSONB, extras) if extras else NULL,
        )
    )


@lru_cache(maxsize=1024)
def _labels(endpoint: str | None, region: str | None, is_async: bool | None) -> bytes:
    """Endpoint, region and async, as far as they were said."""
    asked = {"endpoint": endpoint, "region": region, "async": is_async}
    said: dict[str, object] = {key: value for key, value in asked.items() if value is not None}
    return jsonb(said) if said else NULL


def run_row(run: Run, chunk_id: int, first_seq: int) -> bytes:
    """A row of a binary COPY of RUN_COLUMNS."""
    customer_id, first_place, event_count, first_origin, origin_count, first_us, last_us, gpu = run
    return _RUN_ROW(
        10, 8, customer_id, 8, first_seq, 8, chunk_id, 8, first_us, 8, last_us, 2, first_place,
        2, event_count, 2, first_origin, 2, origin_count, 1, gpu,
    )  # fmt: skip


def copied(rows: Sequence[bytes]) -> bytes:
    """A whole binary COPY of packed rows."""
    return b"".join((FILE_HEADER, *rows, FILE_TRAILER))


def same_content(stored: int, fingerprint: int) -> bool:
    """Whether a fingerprint as its column holds it is that of an event. 0 stands for any: of some
    events stored long ago the content is no longer known."""
    return stored == 0 or stored & 0xFFFFFFFF == fingerprint
