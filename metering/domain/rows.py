"""Events as rows of a binary COPY, with their keys and fingerprints. Pure, and in a hurry.

A row's content, from `input_tokens` to `target_key`, is packed once, and serves both the COPY and
the fingerprint. So the order and the types of these columns are part of what tells a duplicate
from a conflict: they never change once there are data (a test pins a fingerprint).
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

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

COLUMNS = (
    "customer_id, event_key, seq, occurred_at, received_at, fingerprint, input_tokens,"
    " cached_input_tokens, output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, kind,"
    " model, mode, source, event_id, project, extra, target_key"
)
_COLUMN_COUNT = 20
_FILE_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_FILE_TRAILER = b"\xff\xff"
_HEAD = struct.Struct(">hiqi16siqiqiqi8s").pack
_NUMBERS = struct.Struct(">iqiqiqiqiqiqih").pack
_LENGTH = struct.Struct(">i").pack
_INSTANT = struct.Struct(">q").pack
_NULL = _LENGTH(-1)
_MICROSECONDS_OF_DAY = 86_400_000_000
_PERSON = b"usage-event-1"

TOKENS, GPU, USAGE, VOID = 1, 2, 3, 4


class Row(NamedTuple):
    """An event on its way into the table. Rows compare by customer and key first.

    `occurred_us` counts microseconds since 2000, as PostgreSQL does.
    """

    customer_id: int
    key: bytes
    occurred_us: int
    fingerprint: bytes
    content: bytes
    index: int
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
        self._keyed = hashlib.blake2b(digest_size=16, key=secret, person=_PERSON)
        self._hashed = hashlib.blake2b(digest_size=8, person=_PERSON)
        self._sources: dict[str, hashlib.blake2b] = {}
        self._texts: dict[str | None, bytes] = {None: _NULL}
        self._extras: dict[tuple[str | None, str | None, bool | None], bytes] = {}

    def event_key(self, source: str, event_id: str) -> bytes:
        """128 bits that nobody without the secret can make collide."""
        of_source = self._sources.get(source)
        if of_source is None:
            packed = source.encode()
            of_source = self._sources[source] = self._keyed.copy()
            of_source.update(_LENGTH(len(packed)) + packed)
        hashed = of_source.copy()
        hashed.update(event_id.encode())
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
        latest = microseconds(now + FUTURE)
        hashed = self._hashed
        for index, event in enumerate(events):
            if type(event) is Refusal:
                refused.append(event)
                continue
            customer_id = customers.get(event.subject)  # type: ignore[union-attr]
            occurred_us = microseconds(event.time)  # type: ignore[union-attr]
            content = self._content(event)  # type: ignore[arg-type]
            if content is None or customer_id is None or not 0 <= occurred_us <= latest:
                refused.append(_refusal(index, event, customer_id, now))  # type: ignore[arg-type]
                continue
            if type(event) is QuantitiesEvent and not meters >= event.data.quantities.keys():
                unknown = ", ".join(sorted(event.data.quantities.keys() - meters))
                refused.append(
                    Refusal(index, event.id, "invalid_event", f"no such meter: {unknown}")
                )
                continue
            print_ = hashed.copy()
            print_.update(_INSTANT(occurred_us) + content)
            rows.append(
                Row(
                    customer_id,
                    self.event_key(event.source, event.id),  # type: ignore[union-attr]
                    occurred_us,
                    print_.digest(),
                    content,
                    index,
                    event,  # type: ignore[arg-type]
                )
            )
        return rows, refused

    def _content(self, event: Event) -> bytes | None:
        """The columns from `input_tokens` on, or None if the numbers contradict each other."""
        if type(event) is VoidEvent:
            return self._void_content(event)
        data = event.data  # type: ignore[union-attr]
        quantities: Mapping[str, int] | None = None
        if type(event) is TokensEvent:
            cached = data.cached_input_tokens
            uncached = data.input_tokens - cached
            output, reasoning = data.output_tokens, data.reasoning_tokens
            if uncached < 0 or reasoning > output:
                return None
            numbers = _NUMBERS(
                8, uncached, 8, cached, 8, output, 8, reasoning, 8, 0, 8, 0, 2, TOKENS
            )
            model = data.model
        elif type(event) is GpuEvent:
            gpu, busy = data.gpu_seconds, data.busy_gpu_seconds
            if busy > gpu:
                return None
            numbers = _NUMBERS(8, 0, 8, 0, 8, 0, 8, 0, 8, gpu, 8, busy, 2, GPU)
            model = data.sku
        else:
            numbers = _NUMBERS(8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 2, USAGE)
            model, quantities = data.model, data.quantities
        text = self._text
        return b"".join(
            (
                numbers,
                text(model),
                text(data.mode),
                text(event.source),
                _fresh_text(event.id),
                text(data.project),
                self._extra(data.endpoint, data.region, data.is_async)
                if quantities is None
                else _json(_labels(data.endpoint, data.region, data.is_async), quantities),
                _NULL,
            )
        )

    def _void_content(self, event: VoidEvent) -> bytes:
        data = event.data
        said: dict[str, object] = {"target": {"source": data.source, "id": data.id}}
        if data.reason is not None:
            said["reason"] = data.reason
        return b"".join(
            (
                _NUMBERS(8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 2, VOID),
                self._text(""),
                self._text(""),
                self._text(event.source),
                _fresh_text(event.id),
                _NULL,
                _json(said, None),
                _LENGTH(16) + self.event_key(data.source, data.id),
            )
        )

    def _text(self, text: str | None) -> bytes:
        packed = self._texts.get(text)
        if packed is None:
            packed = self._texts[text] = _fresh_text(text or "")
        return packed

    def _extra(self, endpoint: str | None, region: str | None, is_async: bool | None) -> bytes:
        asked = (endpoint, region, is_async)
        packed = self._extras.get(asked)
        if packed is None:
            labels = _labels(endpoint, region, is_async)
            packed = self._extras[asked] = _json(labels, None) if labels else _NULL
        return packed


def copy_data(rows: Sequence[Row], sequences: Mapping[int, int], received_at: datetime) -> bytes:
    """A binary COPY of rows. `sequences` gives each customer's sequence before them."""
    received_us = microseconds(received_at)
    reached = dict(sequences)
    parts = [_FILE_HEADER]
    for customer_id, key, occurred_us, fingerprint, content, _, _ in rows:
        seq = reached[customer_id] = reached[customer_id] + 1
        parts.append(
            _HEAD(
                _COLUMN_COUNT, 8, customer_id, 16, key, 8, seq, 8, occurred_us, 8, received_us,
                8, fingerprint,
            )
        )  # fmt: skip
        parts.append(content)
    parts.append(_FILE_TRAILER)
    return b"".join(parts)


def signed(fingerprint: bytes) -> int:
    """A fingerprint as its column holds it."""
    return int.from_bytes(fingerprint, signed=True)


def _fresh_text(text: str) -> bytes:
    packed = text.encode()
    return _LENGTH(len(packed)) + packed


def _labels(endpoint: str | None, region: str | None, is_async: bool | None) -> dict[str, object]:
    said = {"endpoint": endpoint, "region": region, "async": is_async}
    return {name: value for name, value in said.items() if value is not None}


def _json(said: dict[str, object], quantities: Mapping[str, int] | None) -> bytes:
    """A jsonb value: a version byte and its text, keys sorted so that content has one form."""
    if quantities is not None:
        said = {**said, "quantities": quantities}
    packed = b"\x01" + msgspec.json.encode(said, order="sorted")
    return _LENGTH(len(packed)) + packed


def _refusal(index: int, event: Event, customer_id: int | None, now: datetime) -> Refusal:
    problem = problem_of(event, now)
    if customer_id is None or problem is None:
        detail = f"no customer {event.subject!r} that this key may report for"
        return Refusal(index, event.id, "unknown_customer", detail)
    return Refusal(index, event.id, *problem)
