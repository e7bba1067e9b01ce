"""Ingest over HTTP with everything on, as its users meet it: keys, rate limits, size limits,
per-event results, rating and rollups; one durable answer a request.

All measures share rounds: what is compared is measured within seconds of each other, so that
whatever else the machine does meets both.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from metering.domain.chunks import CHUNK_COLUMNS
from tests.bench import events
from tests.bench.client import Target, post
from tests.bench.copying import bytes_per_row, copy_rate
from tests.bench.lines import line, medians, note
from tests.bench.plain import TABLE
from tests.bench.service import Service, create_database, prepare, serving

CUSTOMERS, MANY_CUSTOMERS = 50, 950
ROUNDS = 7
# Of 1,000 events, in one round: so many that its beginning and its end, when not all connections
# have something to do, weigh little. Of the plain view two for each connection, likewise.
REQUESTS, PLAIN_REQUESTS = 240, 64
FILL_EVENTS = 10_000_000
MEMORY_EVENTS, LONG_MEMORY_EVENTS, SAMPLE_EVENTS = 5_000_000, 50_000_000, 250_000


@dataclass(slots=True)
class _Rates:
    """Events a second, one of each a round."""

    fresh: list[float] = field(default_factory=list)
    copy: list[float] = field(default_factory=list)
    replay: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)
    many_copy: list[float] = field(default_factory=list)
    full: list[float] = field(default_factory=list)
    by_100: list[float] = field(default_factory=list)
    by_10: list[float] = field(default_factory=list)


class Sender:
    """Posts numbered copies of one template; no number comes twice."""

    def __init__(self, target: Target, tag: str, *, size: int = 1_000, customers: int) -> None:
        self._target = target
        self._body = events.template(
            events=size, customers=customers, before=datetime.now(UTC), tag=tag
        )
        self._size = size
        self._numbers = count()
        self._last: list[bytes] = []

    def send(self, requests: int) -> float:
        """New events a second."""
        self._last = [events.numbered(self._body, next(self._numbers)) for _ in range(requests)]
        return self._posted(duplicates=False)

    def send_again(self) -> float:
        """The events of the last `send` once more, a second."""
        return self._posted(duplicates=True)

    def pour(self, requests: int) -> None:
        """Many new events, their bodies made on the way."""
        bodies = (events.numbered(self._body, next(self._numbers)) for _ in range(requests))
        posted = post(self._target, bodies)
        if posted.accepted != requests * self._size:
            raise RuntimeError(f"not all were accepted: {posted.unexpected[:3]}")

    def _posted(self, *, duplicates: bool) -> float:
        posted = post(self._target, self._last)
        counted = posted.duplicates if duplicates else posted.accepted
        if posted.unexpected or counted != len(self._last) * self._size:
            raise RuntimeError(f"{counted} counted, {posted.unexpected[:3]}")
        return counted / posted.seconds


def measures(url: str, place: Path) -> Iterator[str]:
    """Every line about ingest, on databases of its own on the server at `url`."""
    with ExitStack() as held:
        small = _service(held, url, place, "bench_small")
        plain = _plain(held, small, place)
        full = _service(held, url, place, "bench_full")
        yield from fill(full)
        rates = _rounds(small, plain, full)
        yield medians("ingest_vs_copy", rates.fresh, rates.copy)
        yield medians("ingest_vs_drf", rates.fresh, rates.plain)
        yield medians("ingest_many_customers_vs_copy", rates.many, rates.many_copy)
        yield medians("ingest_10m_vs_empty", rates.full, rates.fresh)
        yield medians("replay_vs_fresh", rates.replay, rates.fresh)
        yield medians("ingest_100_a_request", rates.by_100, rates.fresh)
        yield medians("ingest_10_a_request", rates.by_10, rates.fresh)
        yield _bytes(full, small)


def _service(held: ExitStack, url: str, place: Path, name: str) -> Service:
    database = create_database(url, name)
    key = prepare(database, place, customers=MANY_CUSTOMERS)
    return held.enter_context(serving(database, place, key))


def _plain(held: ExitStack, beside: Service, place: Path) -> Service:
    with beside.connect() as connection:
        connection.execute(TABLE)
    settings = "tests.bench.plain.settings"
    return held.enter_context(serving(beside.url, place, beside.target.key, settings=settings))


def fill(full: Service) -> Iterator[str]:
    """Ten million events: five through the service, with an eye on its memory, and five copied.

    Memory goes up and down with the size of the transactions that requests share: what is compared
    is the most that it was while the service was warm, and the most that it was at the end.
    """
    sender = Sender(full.target, "fill", customers=CUSTOMERS)
    begun = time.monotonic()
    events_there = LONG_MEMORY_EVENTS if os.environ.get("LONG") == "1" else MEMORY_EVENTS
    held = []
    for _ in range(events_there // SAMPLE_EVENTS):
        sender.pour(SAMPLE_EVENTS // 1_000)
        held.append(full.memory_bytes())
    sampled = len(held) // 5
    warm, end = max(held[sampled : 2 * sampled]), max(held[-sampled:])
    yield line("server_rss_growth", end - warm, warm, unit="bytes")
    note(f"{events_there:,} events in {time.monotonic() - begun:.0f} s")
    if events_there < FILL_EVENTS:
        _double(full)
    note(f"{max(events_there, FILL_EVENTS):,} events in {time.monotonic() - begun:.0f} s")


_DOUBLE = """
WITH further AS (SELECT last_value AS chunks FROM metering_chunk_number)
INSERT INTO metering_usagechunk (id, {columns}) SELECT chunk.id + further.chunks, {columns}
FROM metering_usagechunk AS chunk, further;
WITH further AS (SELECT last_value AS chunks FROM metering_chunk_number)
INSERT INTO metering_eventkey (customer_id, event_key, chunk_id, fingerprint, place)
SELECT customer_id, gen_random_uuid(), chunk_id + further.chunks, fingerprint, place
FROM metering_eventkey, further;
WITH further AS (SELECT last_value AS chunks FROM metering_chunk_number)
INSERT INTO metering_usagerun SELECT run.customer_id, state.ingest_seq + run.first_seq,
    run.chunk_id + further.chunks, run.first_at, run.last_at, run.first_place, run.event_count,
    run.first_origin, run.origin_count, run.has_hardware
FROM metering_usagerun AS run JOIN metering_usagestate AS state USING (customer_id), further;
UPDATE metering_usagestate SET ingest_seq = ingest_seq * 2;
SELECT setval('metering_chunk_number', 2 * last_value) FROM metering_chunk_number"""


def _double(full: Service) -> None:
    """Every stored event once more under a key of its own: for the size of tables and indexes."""
    with full.connect() as connection:
        connection.execute(_DOUBLE.format(columns=CHUNK_COLUMNS.removeprefix("id, ")))
        connection.execute(
            "VACUUM (ANALYZE) metering_eventkey, metering_usagechunk, metering_usagerun"
        )


def _rounds(small: Service, plain: Service, full: Service) -> _Rates:
    rates = _Rates()
    fresh = Sender(small.target, "fresh", customers=CUSTOMERS)
    many = Sender(small.target, "many", customers=MANY_CUSTOMERS)
    by_100 = Sender(small.target, "hundred", size=100, customers=CUSTOMERS)
    by_10 = Sender(small.target, "ten", size=10, customers=10)
    further = Sender(full.target, "further", customers=CUSTOMERS)
    plainly = Sender(plain.target, "plain", customers=CUSTOMERS)
    for sender in (fresh, many, by_100, by_10, further, plainly):
        sender.send(32)  # Connections, caches, plans.
    for number in range(ROUNDS):
        rates.fresh.append(fresh.send(REQUESTS))
        rates.full.append(further.send(REQUESTS))
        rates.copy.append(copy_rate(small, "fresh"))
        rates.plain.append(plainly.send(PLAIN_REQUESTS))
        rates.replay.append(fresh.send_again())
        rates.many.append(many.send(REQUESTS // 2))
        rates.many_copy.append(copy_rate(small, "many"))
        rates.by_100.append(by_100.send(200))
        rates.by_10.append(by_10.send(400))
        note(f"round {number + 1} of {ROUNDS}: {rates.fresh[-1]:,.0f} events/s")
    return rates


def _bytes(full: Service, small: Service) -> str:
    """On disk, with all indexes and what VACUUM keeps; against the bare heap's rows."""
    with full.connect() as connection:
        found = connection.execute(
            "SELECT (pg_total_relation_size('metering_eventkey')"
            " + pg_total_relation_size('metering_usagerun')"
            " + (SELECT sum(pg_total_relation_size(relid))"
            "    FROM pg_partition_tree('metering_usagechunk')))::float,"
            " (SELECT count(*) FROM metering_eventkey)"
        ).fetchone()
    size, events_there = found if found else (0.0, 1)
    return line("bytes_per_event", size / events_there, bytes_per_row(small), unit="bytes")
