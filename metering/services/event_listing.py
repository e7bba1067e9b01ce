"""Raw events of one customer in the order of their time: page by page, or all of them streamed.

A page starts behind the last event of the one before, by (time, chunk, place), so that none is
skipped or told twice, however many share an instant and whatever comes in meanwhile. Runs say from
when to when their events are: a page opens those of the stretch of time that will fill it.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from billing.domain.errors import Conflict, InvalidInput
from metering.domain.events import FUTURE

INSTANT = timedelta(microseconds=1)
MOST_OF_A_NUMBER = 2**63 - 1
STREAMED_PAGE = 2_000

_PAGE = """
SELECT event.occurred_at, event.chunk_id, event.place, event.seq, event.received_at, event.kind,
    event.source, event.event_id, event.model, event.mode, event.input_tokens,
    event.cached_input_tokens, event.output_tokens, event.reasoning_tokens, event.gpu_seconds,
    event.busy_gpu_seconds, event.project, event.extra, void.source, void.event_id
FROM metering_usageevent AS event
LEFT JOIN metering_usagevoid AS void
    ON void.chunk_id = event.chunk_id AND void.place = event.place
WHERE event.customer_id = %(customer)s
    AND metering_run_reaches(event.run_first_at, event.run_last_at, %(at)s, %(until)s)
    AND event.occurred_at >= %(at)s AND event.occurred_at < %(until)s
    AND (event.occurred_at, event.chunk_id, event.place) > (%(at)s, %(chunk)s, %(place)s)
ORDER BY event.occurred_at, event.chunk_id, event.place LIMIT %(limit)s"""

# When the runs that end from `at` on have told `wanted` events, or have all been looked at: no
# stretch without any is looked through, and of a busy one no more than a page asks for. Of each
# span (metering_run_span) they come in their order from the index.
_NEXT = """
SELECT max(last_at) FROM (
    SELECT last_at, sum(event_count) OVER (ORDER BY last_at ROWS UNBOUNDED PRECEDING) - event_count
        AS told_before
    FROM generate_series(0, 4) AS span CROSS JOIN LATERAL (
        SELECT last_at, event_count FROM metering_usagerun
        WHERE customer_id = %(customer)s AND metering_run_span(first_at, last_at) = span
            AND last_at >= %(at)s
        ORDER BY last_at LIMIT %(wanted)s
    ) AS run
) AS ending WHERE told_before < %(wanted)s"""

_LIVE = """
SELECT event.event_id FROM metering_usageevent AS event
WHERE event.customer_id = %(customer)s AND event.source = %(source)s AND event.kind <> 4
    AND metering_run_reaches(event.run_first_at, event.run_last_at, %(start)s, %(end)s)
    AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND NOT EXISTS (
        SELECT 1 FROM metering_usagevoid AS void
        WHERE void.chunk_id = event.chunk_id AND void.place = event.place)"""

# Of an archived event the chunk holds no id.
_ARCHIVED = """
SELECT archive.file FROM metering_usagerun AS run
JOIN metering_usagechunk AS chunk ON chunk.id = run.chunk_id
JOIN metering_usagearchive AS archive ON 'archive/' || archive.id = ANY(chunk.origin_sources)
WHERE run.customer_id = %(customer)s
    AND metering_run_reaches(run.first_at, run.last_at, %(start)s, %(end)s)
    AND EXISTS (
        SELECT FROM unnest(
            chunk.occurred_at[run.first_place : run.first_place + run.event_count - 1],
            chunk.event_ids[run.first_place : run.first_place + run.event_count - 1]
        ) AS event (occurred_at, event_id)
        WHERE event.event_id IS NULL
            AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s)
LIMIT 1"""


def live_event_ids(
    *, customer_id: int, source: str, starts_at: datetime, ends_at: datetime
) -> list[str]:
    """The ids of what a source reported in `[starts_at, ends_at)` and nobody has voided.

    Raises Conflict `archived` where names of the customer's events of that time lie in an archive.
    """
    given: dict[str, Any] = {
        "customer": customer_id, "source": source, "start": starts_at, "end": ends_at,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_ARCHIVED, given)
        if archived := cursor.fetchone():
            raise Conflict("archived", f"the names of events of that time lie in {archived[0]}")
        cursor.execute(_LIVE, given)
        return [name for (name,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two events: behind the event with this time, chunk and place in it."""

    at: datetime
    chunk_id: int = 0
    place: int = 0

    def cursor(self) -> str:
        """The place as text that says nothing to anybody else."""
        packed = f"{self.at.isoformat()} {self.chunk_id}/{self.place}".encode()
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def of(cls, cursor: str) -> "Place":
        """Raises InvalidInput `invalid_cursor`."""
        try:
            at, behind = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
            chunk_id, place_in_chunk = behind.split("/")
            place = cls(datetime.fromisoformat(at), int(chunk_id), int(place_in_chunk))
            place.at.astimezone(UTC)
        except (ValueError, OverflowError, binascii.Error) as error:
            raise InvalidInput("invalid_cursor", "the cursor is not one of ours") from error
        numbers = (place.chunk_id, place.place)
        if place.at.tzinfo is None or min(numbers) < 0 or max(numbers) > MOST_OF_A_NUMBER:
            raise InvalidInput("invalid_cursor", "the cursor is not one of ours")
        return place


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as it was reported, and who took it back. Meters are disjoint."""

    occurred_at: datetime
    chunk_id: int
    place: int
    seq: int
    received_at: datetime
    kind: int
    source: str
    id: str
    model: str
    mode: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    gpu_seconds: int
    busy_gpu_seconds: int
    project: str | None
    extra: str | None
    voided_by_source: str | None
    voided_by_id: str | None

    @property
    def said(self) -> dict[str, Any]:
        """Endpoint, region, async; the quantities of further meters; a void's target and reason."""
        return dict(json.loads(self.extra)) if self.extra else {}

    @property
    def behind(self) -> Place:
        """The place behind this event."""
        return Place(self.occurred_at, self.chunk_id, self.place)


def raw_events(
    *, customer_id: int, after: Place, end: datetime, limit: int, now: datetime
) -> list[RawEvent]:
    """The first events behind a place and timed before `end`, at most `limit`, in their order."""
    end = min(end, now + FUTURE + INSTANT)
    found: list[RawEvent] = []
    given: dict[str, Any] = {"customer": customer_id}
    times = 1
    with connection.cursor() as cursor:
        while len(found) < limit and after.at < end:
            missing = limit - len(found)
            given |= {"at": after.at, "chunk": after.chunk_id, "place": after.place}
            # One more, because what the place is behind is told already.
            cursor.execute(_NEXT, {**given, "wanted": times * missing + 1})
            [latest] = cursor.fetchone()
            if latest is None:
                break
            until = min(end, latest + INSTANT)
            cursor.execute(_PAGE, {**given, "until": until, "limit": missing})
            found += [RawEvent(*row) for row in cursor.fetchall()]
            # Long runs may tell most of their events before `at`: look at more of them next time.
            after, times = Place(until), times * 4
    return found


def every_event(
    *, customer_id: int, start: datetime, end: datetime, now: datetime
) -> Iterator[RawEvent]:
    """All events timed in `[start, end)`, read in pages: no transaction is held open meanwhile."""
    after = Place(start)
    while page := raw_events(
        customer_id=customer_id, after=after, end=end, limit=STREAMED_PAGE, now=now
    ):
        yield from page
        if len(page) < STREAMED_PAGE:
            return
        after = page[-1].behind
