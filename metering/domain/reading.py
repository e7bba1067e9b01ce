"""From the events of a request to columns: what of them can be accepted, and why the rest cannot.

Pure, and in a hurry: at 100,000 events a second there are ten microseconds for one, in all. An
event is looked at once, as soon as it is decoded, while it is still in the processor's cache, and
then let go.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zlib import crc32

import msgspec
import numpy as np

from metering.domain.columns import FIGURES, GPU, TOKENS, USAGE, VOID, Columns, Origin, microseconds
from metering.domain.copy_format import LENGTH
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

_CONTENT = struct.Struct(">qqqqqqq").pack
_MICROSECOND = timedelta(microseconds=1)
_PERSON = b"usage-event-1"
_Hash = hashlib.blake2b
# What events may have in common, before their customer is known: subject, model, mode, source,
# project, endpoint, region, async, kind.
_Common = tuple[str, str, str, str, str | None, str | None, str | None, bool | None, int]


class EventKeys:
    """Makes event keys. `secret` is the key of the hash."""

    def __init__(self, secret: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=16, key=secret, person=_PERSON)
        self._sources: dict[str, _Hash] = {}

    def of_source(self, source: str) -> _Hash:
        """The key of its events as far as the source makes it; a copy goes on with the id."""
        known = self._sources.get(source)
        if known is None:
            packed = source.encode()
            known = self._sources[source] = self._keyed.copy()
            known.update(LENGTH(len(packed)) + packed)
        return known

    def key(self, source: str, event_id: str) -> bytes:
        """The key of one event."""
        hashed = self.of_source(source).copy()
        hashed.update(event_id.encode())
        return hashed.digest()


@dataclass(slots=True)
class Reading:
    """The events of a request, before it is known who their customers are.

    Lists by event, in their order: `numbers` are indexes into `common`, `contents` packed figures.
    """

    common: list[_Common] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    fingerprints: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    extras: dict[int, dict[str, Any]] = field(default_factory=dict)
    targets: dict[int, bytes] = field(default_factory=dict)
    # With what is wrong with them, if their customer is known.
    unsound: list[tuple[int, Event, tuple[str, str]]] = field(default_factory=list)
    undecoded: list[Refusal] = field(default_factory=list)

    def subjects(self) -> set[str]:
        """Whom the events are about."""
        return {one[0] for one in self.common} | {event.subject for _, event, _ in self.unsound}

    def first(self) -> tuple[str, bytes] | None:
        """Subject and key of the first event that may be accepted."""
        return (self.common[self.numbers[0]][0], self.keys[0]) if self.numbers else None

    def columns(self, customers: Mapping[str, int]) -> tuple[Columns, list[Refusal]]:
        """The events that can be accepted, and why the others cannot. `customers` gives the ids of
        those that may be reported for."""
        refused = list(self.undecoded)
        for at, event, problem in self.unsound:
            if event.subject in customers:
                refused.append(Refusal(at, event.id, *problem))
            else:
                refused.append(_of_nobody(at, event.id, event.subject))
        ids = [customers.get(one[0], 0) for one in self.common]
        found = Columns(
            [_origin(one, common) for one, common in zip(ids, self.common, strict=True)],
            np.array(self.numbers, dtype=np.int64),
            np.frombuffer(b"".join(self.contents), dtype=">i8")
            .reshape(-1, FIGURES)
            .astype(np.int64),
            self.ids,
            np.frombuffer(b"".join(self.keys), dtype=">u8").reshape(-1, 2),
            np.array(self.fingerprints, dtype=np.uint32),
            np.array(self.places, dtype=np.int64),
            self.extras,
            self.targets,
        )
        if 0 in ids:
            of_nobody = found.customers() == 0
            for position in np.flatnonzero(of_nobody).tolist():
                subject = self.common[self.numbers[position]][0]
                refused.append(_of_nobody(self.places[position], self.ids[position], subject))
            found = found.only(~of_nobody)
        return found, refused


def read(
    events: Iterable[Event | Refusal],
    *,
    meters: Callable[[], Set[str]],
    secret: bytes,
    now: datetime,
) -> Reading:
    """Read events as they come. `meters` says which are defined; it is asked where one is named
    that is not built in."""
    found = Reading()
    event_keys, known = EventKeys(secret), dict[_Common, tuple[int, int, _Hash]]()
    latest = microseconds(now + FUTURE)
    # In a hurry even a dot costs.
    add_number, add_content, add_id = found.numbers.append, found.contents.append, found.ids.append
    add_key, add_print, add_place = (
        found.keys.append, found.fingerprints.append, found.places.append,
    )  # fmt: skip
    for at, event in enumerate(events):
        extra = None
        gpu = busy = 0
        if type(event) is TokensEvent:
            data = event.data
            cached, output = data.cached_input_tokens, data.output_tokens
            uncached, reasoning = data.input_tokens - cached, data.reasoning_tokens
            common: _Common = (
                event.subject, data.model, data.mode, event.source, data.project, data.endpoint,
                data.region, data.is_async, TOKENS,
            )  # fmt: skip
            is_sound = uncached >= 0 and reasoning <= output
        elif isinstance(event, Refusal):
            found.undecoded.append(event)
            continue
        else:
            uncached = cached = output = reasoning = 0
            common, gpu, busy, extra = _rarer(event)
            is_sound = busy <= gpu and (not extra or _are_known(extra, meters))
        occurred_us = (event.time - EARLIEST) // _MICROSECOND
        if not (is_sound and 0 <= occurred_us <= latest):
            found.unsound.append((at, event, _problem(event, meters, now)))
            continue
        its = known.get(common)
        if its is None:
            checksum = _checksum(*common[1:3], *common[4:])
            its = known[common] = len(known), checksum, event_keys.of_source(event.source)
        number, checksum, begun = its
        content = _CONTENT(occurred_us, uncached, cached, output, reasoning, gpu, busy)
        print_ = crc32(content, checksum)
        if extra is not None:
            print_ = crc32(msgspec.json.encode(extra, order="sorted"), print_)
            found.extras[len(found.ids)] = extra
            if isinstance(event, VoidEvent):
                target = event.data
                found.targets[len(found.ids)] = event_keys.key(target.source, target.id)
        name = event.id
        key = begun.copy()
        key.update(name.encode())
        add_number(number)
        add_content(content)
        add_id(name)
        add_key(key.digest())
        add_print(print_ or 1)
        add_place(at)
    found.common = list(known)
    return found


def _rarer(event: Event) -> tuple[_Common, int, int, dict[str, Any] | None]:
    """What all may have in common, GPU-seconds, busy ones, what else was said."""
    if isinstance(event, VoidEvent):
        target = {"source": event.data.source, "id": event.data.id}
        extra: dict[str, Any] = {"target": target}
        if event.data.reason is not None:
            extra["reason"] = event.data.reason
        return (event.subject, "", "", event.source, None, None, None, None, VOID), 0, 0, extra
    said = event.data
    of_all = (event.source, said.project, said.endpoint, said.region, said.is_async)
    if isinstance(event, GpuEvent):
        gpu = event.data
        common = (event.subject, gpu.sku, gpu.mode, *of_all, GPU)
        return common, gpu.gpu_seconds, gpu.busy_gpu_seconds, None
    if isinstance(event, QuantitiesEvent):
        usage = event.data
        common = (event.subject, usage.model, usage.mode, *of_all, USAGE)
        return common, 0, 0, {"quantities": usage.quantities}
    raise TypeError("there are four types of events")


def _are_known(extra: dict[str, Any], meters: Callable[[], Set[str]]) -> bool:
    return "quantities" not in extra or meters() >= extra["quantities"].keys()


def _problem(event: Event, meters: Callable[[], Set[str]], now: datetime) -> tuple[str, str]:
    problem = problem_of(event, now)
    if problem is None and isinstance(event, QuantitiesEvent):
        unknown = ", ".join(sorted(event.data.quantities.keys() - meters()))
        problem = ("invalid_event", f"no such meter: {unknown}")
    if problem is None:
        raise AssertionError("unreachable")
    return problem


def _of_nobody(at: int, event_id: str, subject: str) -> Refusal:
    detail = f"no customer {subject!r} that this key may report for"
    return Refusal(at, event_id, "unknown_customer", detail)


def _origin(customer_id: int, common: _Common) -> Origin:
    _, model, mode, source, project, endpoint, region, is_async, kind = common
    return Origin(customer_id, kind, model, mode, source, project, endpoint, region, is_async)


@lru_cache(maxsize=10_000)
def _checksum(
    model: str,
    mode: str,
    project: str | None,
    endpoint: str | None,
    region: str | None,
    is_async: bool | None,
    kind: int,
) -> int:
    """Of what of an event's content its origin holds. Customer and source are in the key."""
    return crc32(msgspec.json.encode([kind, model, mode, project, endpoint, region, is_async]))


def fingerprint(origin: Origin, content: Sequence[int], extra: object) -> int:
    """The checksum of an event's content: never 0. `content` is its time, uncached input, cached,
    output, reasoning, GPU-seconds and busy ones."""
    found = crc32(_CONTENT(*content), _checksum(*origin[2:4], *origin[5:], origin.kind))
    if extra is not None:
        found = crc32(msgspec.json.encode(extra, order="sorted"), found)
    return found or 1
