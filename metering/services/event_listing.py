"""Raw events of one customer in the order of their time: page by page, or all of them streamed.

A page starts behind the last event of the one before, by (time, event key), so that none is
skipped or told twice, however many share an instant and whatever comes in meanwhile. There is no
index by customer and time (it would cost ingest more than all else): a page looks through the
block range index in growing stretches of time until it is full.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from billing.domain.errors import Conflict, InvalidInput
from metering.domain.events import FUTURE
from metering.models import UsageArchive

STEP = timedelta(hours=1)
NO_KEY = UUID(int=0)
STREAMED_PAGE = 2_000

_PAGE = """
SELECT event.occurred_at, event.event_key, event.seq, event.received_at, event.kind, event.source,
    -- What an archived event was called stands in its archive, under its key.
    CASE event.event_id WHEN '' THEN event.event_key::text ELSE event.event_id END,
    event.model, event.mode, event.input_tokens, event.cached_input_tokens,
    event.output_tokens, event.reasoning_tokens, event.gpu_seconds, event.busy_gpu_seconds,
    event.project, event.extra, void.source, void.event_id
FROM metering_usageevent AS event
LEFT JOIN metering_usageevent AS void
    ON void.customer_id = event.customer_id AND void.target_key = event.event_key
WHERE event.customer_id = %(customer)s
    AND event.occurred_at >= %(at)s AND event.occurred_at < %(until)s
    AND (event.occurred_at, event.event_key) > (%(at)s, %(key)s)
ORDER BY event.occurred_at, event.event_key LIMIT %(limit)s"""

_LIVE = """
SELECT event.event_id FROM metering_usageevent AS event
WHERE event.customer_id = %s AND event.source = %s AND event.kind <> 4
    AND event.occurred_at >= %s AND event.occurred_at < %s
    AND NOT EXISTS (
        SELECT 1 FROM metering_usageevent AS void
        WHERE void.customer_id = event.customer_id AND void.target_key = event.event_key)"""


def live_event_ids(
    *, customer_id: int, source: str, starts_at: datetime, ends_at: datetime
) -> list[str]:
    """The ids of what a source reported in `[starts_at, ends_at)` and nobody has voided.

    Raises Conflict `archived` where names of that time lie in an archive.
    """
    archived = UsageArchive.objects.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).first()
    if archived is not None:
        raise Conflict("archived", f"the names of events of that time lie in {archived.file}")
    with connection.cursor() as cursor:
        cursor.execute(_LIVE, [customer_id, source, starts_at, ends_at])
        return [name for (name,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two events: behind the event with this time and key."""

    at: datetime
    key: UUID = NO_KEY

    def cursor(self) -> str:
        """The place as text that says nothing to anybody else."""
        packed = f"{self.at.isoformat()} {self.key.hex}".encode()
        return base64.urlsafe_b64encode(packed).decode()

    @classmethod
    def of(cls, cursor: str) -> "Place":
        """Raises InvalidInput `invalid_cursor`."""
        try:
            at, _, key = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
            place = cls(datetime.fromisoformat(at), UUID(hex=key))
            place.at.astimezone(UTC)
        except (ValueError, OverflowError, binascii.Error) as error:
            raise InvalidInput("invalid_cursor", "the cursor is not one of ours") from error
        if place.at.tzinfo is None:
            raise InvalidInput("invalid_cursor", "the cursor is not one of ours")
        return place


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as it was reported, and who took it back. Meters are disjoint."""

    occurred_at: datetime
    event_key: UUID
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
    def place(self) -> Place:
        """Behind this event."""
        return Place(self.occurred_at, self.event_key)


def raw_events(
    *, customer_id: int, after: Place, end: datetime, limit: int, now: datetime
) -> list[RawEvent]:
    """The first events behind a place and timed before `end`, at most `limit`, by time and key."""
    end = min(end, now + FUTURE + timedelta(microseconds=1))
    found: list[RawEvent] = []
    step = STEP
    while len(found) < limit and after.at < end:
        until = end if end - after.at <= step else after.at + step
        with connection.cursor() as cursor:
            cursor.execute(
                _PAGE,
                {
                    "customer": customer_id, "at": after.at, "key": after.key, "until": until,
                    "limit": limit - len(found),
                },
            )  # fmt: skip
            rows = [RawEvent(*row) for row in cursor.fetchall()]
        found += rows
        after, step = Place(until), step * 4
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
        after = page[-1].place
