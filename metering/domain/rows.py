"""Events as rows of a binary COPY, with their keys and fingerprints. Pure, and in a hurry.

A row's content, from `input_tokens` to `target_key`, is packed once, and serves both the COPY and
the fingerprint. So the order and the types of these columns are part of what tells a duplicate
from a conflict: they never change once there are data (a test pins a fingerprint).
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from itertools import count
from typing import NamedTuple

from metering.domain.copy_format import FILE_HEADER, FILE_TRAILER, LENGTH, NULL, jsonb, text
from metering.domain.events import (
    EARLIEST,
    FUTURE,
    Event,
    GpuData,
    GpuEvent,
    QuantitiesEvent,
    Refusal,
    TokensData,
    TokensEvent,
    VoidEvent,
    problem_of,
)

COLUMNS = (
    "customer_id, event_key, seq, occurred_at, received_at, fingerprint, input_tokens,"
    " cached_input_tokens, output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, kind,"
    " model, mode, source, event_id, project, extra, target_key"
)
_COLUMN_COUNT = 20
_HEAD = struct.Struct(">hiqi16siq").pack  # to `seq`
_TIMES = struct.Struct(">iqiqi8s").pack  # from `occurred_at` to `fingerprint`
_NUMBERS = struct.Struct(">iqiqiqiqiqiqih").pack
_INSTANT = struct.Struct(">q").pack
_MICROSECONDS_OF_DAY = 86_400_000_000
_PERSON = b"usage-event-1"
_arrivals = count()

TOKENS, GPU, USAGE, VOID = 1, 2, 3, 4


class Row(NamedTuple):
    """An event on its way into the table. Rows compare by customer and key, and of one key by
    arrival: `arrival` counts the requests of a process, `place` is the index in the request.

    `occurred_us` counts microseconds since 2000, as PostgreSQL does. `packed` are the columns
    from `occurred_at` on.
    """

    customer_id: int
    key: bytes
    arrival: int
    place: int
    occurred_us: int
    fingerprint: bytes
    packed: bytes
    event: Event


def microseconds(instant: datetime) -> int:
    """Microseconds since 2000-01-01 UTC."""
    since = instant - EARLIEST
    return since.days * _MICROSECONDS_OF_DAY + since.seconds * 1_000_000 + since.microseconds


def instant_of(occurred_us: int) -> datetime:
    """The instant of so many microseconds since 2000-01-01 UTC."""
    return EARLIEST + timedelta(microseconds=occurred_us)


class Packer:
    """Packs the events of one request. `secret` is the key of the event keys."""

    def __init__(self, secret: bytes) -> None:
        self.arrival = next(_arrivals)
        self._keyed = hashlib.blake2b(digest_size=16, key=secret, person=_PERSON)
        self._hashed = hashlib.blake2b(digest_size=8, person=_PERSON)
        self._sources: dict[str, hashlib.blake2b] = {}
        # What events have in common is packed once a request.
        self._origins: dict[tuple[str, str, str], bytes] = {}
        self._tails: dict[tuple[str | None, str | None, str | None, bool | None], bytes] = {}

    def event_key(self, source: str, event_id: str) -> bytes:
        """128 bits that nobody without the secret can make collide."""
        return self._key(source, event_id.encode())

    def _key(self, source: str, packed_id: bytes) -> bytes:
        of_source = self._sources.get(source)
        if of_source is None:
            packed = source.encode()
            of_source = self._sources[source] = self._keyed.copy()
            of_source.update(LENGTH(len(packed)) + packed)
        hashed = of_source.copy()
        hashed.update(packed_id)
        return hashed.digest()

    def rows(
        self,
        events: Sequence[Event | Refusal],
        customers: Mapping[str, int],
        meters: Set[str],
        now: datetime,
    ) -> tuple[list[Row], list[Refusal]]:
        """The rows of the events that can be accepted, and why the others cannot.

        `customers` gives the ids of those that may be reported for, `meters` those defined.
        """
        rows: list[Row] = []
        refused: list[Refusal] = []
        received_us = microseconds(now)
        latest = microseconds(now + FUTURE)
        arrival, hashed_so_far, make = self.arrival, self._hashed, tuple.__new__
        for index, event in enumerate(events):
            if isinstance(event, Refusal):
                refused.append(event)
                continue
            customer_id = customers.get(event.subject)
            since = event.time - EARLIEST
            occurred_us = (
                since.days * _MICROSECONDS_OF_DAY + since.seconds * 1_000_000 + since.microseconds
            )
            packed_id = event.id.encode()
            content = self._content(event, packed_id)
            if content is None or customer_id is None or not 0 <= occurred_us <= latest:
                refused.append(_refusal(index, event, customer_id, now))
                continue
            if type(event) is QuantitiesEvent and not meters >= event.data.quantities.keys():
                unknown = ", ".join(sorted(event.data.quantities.keys() - meters))
                refused.append(
                    Refusal(index, event.id, "invalid_event", f"no such meter: {unknown}")
                )
                continue
            hashed = hashed_so_far.copy()
            hashed.update(_INSTANT(occurred_us) + content)
            fingerprint = hashed.digest()
            packed = _TIMES(8, occurred_us, 8, received_us, 8, fingerprint) + content
            key = self._key(event.source, packed_id)
            # Not Row(...): that is a call into Python for each event.
            rows.append(
                make(
                    Row,
                    (customer_id, key, arrival, index, occurred_us, fingerprint, packed, event),
                )
            )
        return rows, refused

    def _content(self, event: Event, packed_id: bytes) -> bytes | None:
        """The columns from `input_tokens` on, or None if the numbers contradict each other."""
        if type(event) is TokensEvent:
            tokens = event.data
            cached, output = tokens.cached_input_tokens, tokens.output_tokens
            uncached, reasoning = tokens.input_tokens - cached, tokens.reasoning_tokens
            if uncached < 0 or reasoning > output:
                return None
            return b"".join(
                (
                    _NUMBERS(
                        8, uncached, 8, cached, 8, output, 8, reasoning, 8, 0, 8, 0, 2, TOKENS
                    ),
                    self._origin(tokens.model, tokens.mode, event.source),
                    LENGTH(len(packed_id)),
                    packed_id,
                    self._tail(tokens),
                )
            )
        return self._rarer_content(event)

    def _rarer_content(self, event: Event) -> bytes | None:
        if isinstance(event, GpuEvent):
            gpu = event.data
            if gpu.busy_gpu_seconds > gpu.gpu_seconds:
                return None
            numbers = _NUMBERS(
                8, 0, 8, 0, 8, 0, 8, 0, 8, gpu.gpu_seconds, 8, gpu.busy_gpu_seconds, 2, GPU
            )
            origin = self._origin(gpu.sku, gpu.mode, event.source)
            return numbers + origin + text(event.id) + self._tail(gpu)
        if isinstance(event, QuantitiesEvent):
            usage = event.data
            numbers = _NUMBERS(8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 2, USAGE)
            said = _labels(usage.endpoint, usage.region, usage.is_async)
            origin = self._origin(usage.model, usage.mode, event.source)
            extra = jsonb({**said, "quantities": usage.quantities})
            return numbers + origin + text(event.id) + text(usage.project) + extra + NULL
        if not isinstance(event, VoidEvent):
            raise TypeError("there are four types of events")
        data = event.data
        reason: dict[str, object] = {"target": {"source": data.source, "id": data.id}}
        if data.reason is not None:
            reason["reason"] = data.reason
        return b"".join(
            (
                _NUMBERS(8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 2, VOID),
                self._origin("", "", event.source),
                text(event.id),
                NULL,
                jsonb(reason),
                LENGTH(16) + self.event_key(data.source, data.id),
            )
        )

    def _origin(self, model: str, mode: str, source: str) -> bytes:
        asked = (model, mode, source)
        packed = self._origins.get(asked)
        if packed is None:
            packed = self._origins[asked] = b"".join(map(text, asked))
        return packed

    def _tail(self, data: TokensData | GpuData) -> bytes:
        """From `project` on."""
        asked = (data.project, data.endpoint, data.region, data.is_async)
        packed = self._tails.get(asked)
        if packed is None:
            said = _labels(*asked[1:])
            extra = jsonb(said) if said else NULL
            packed = self._tails[asked] = text(data.project) + extra + NULL
        return packed


def copy_data(rows: Sequence[Row], sequences: Mapping[int, int]) -> bytes:
    """A binary COPY of rows. `sequences` gives each customer's sequence before them."""
    reached = dict(sequences)
    parts = [FILE_HEADER]
    for customer_id, key, _, _, _, _, packed, _ in rows:
        seq = reached[customer_id] = reached[customer_id] + 1
        parts.append(_HEAD(_COLUMN_COUNT, 8, customer_id, 16, key, 8, seq))
        parts.append(packed)
    parts.append(FILE_TRAILER)
    return b"".join(parts)


def signed(fingerprint: bytes) -> int:
    """A fingerprint as its column holds it."""
    return int.from_bytes(fingerprint, signed=True)


def _labels(endpoint: str | None, region: str | None, is_async: bool | None) -> dict[str, object]:
    said = {"endpoint": endpoint, "region": region, "async": is_async}
    return {name: value for name, value in said.items() if value is not None}


def _refusal(index: int, event: Event, customer_id: int | None, now: datetime) -> Refusal:
    problem = problem_of(event, now)
    if customer_id is None or problem is None:
        detail = f"no customer {event.subject!r} that this key may report for"
        return Refusal(index, event.id, "unknown_customer", detail)
    return Refusal(index, event.id, *problem)
