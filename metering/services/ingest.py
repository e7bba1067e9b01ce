"""Takes usage in: exactly once, rated, rolled up and durable when it returns.

Here a request's body becomes columns; `intake` stores them, together with those of other requests
that wait at the same moment. A refused event never holds up the others. Nothing is asked of the
ORM for a single event: at 100,000 events a second there are ten microseconds for one.
"""

import re
import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from billing.domain.array_format import array_of
from billing.domain.errors import InvalidInput
from billing.services.prepared import server_cursor
from metering.domain.bodies import MAX_BYTES, MAX_EVENTS, decode_events, unpack
from metering.domain.columns import month_of
from metering.domain.events import Event, Refusal
from metering.domain.reading import Reading, read
from metering.services import event_store, storing
from metering.services.batches import Batch, IngestResult, without_known
from metering.services.book_snapshot import read_price_book
from metering.services.intake import intake

__all__ = ["FORMS", "IngestResult", "Limits", "ingest"]

# Which forms a content type allows: (one event, an array of them).
FORMS = {
    "application/cloudevents-batch+json": (False, True),
    "application/cloudevents+json": (True, False),
    "application/json": (True, True),
}
# What a customer's key may be (billing's Customer): whatever else is reported for is nobody.
_CUSTOMER_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")


_BEGIN = """
SELECT (SELECT secret FROM metering_eventkeysecret), nextval('metering_chunk_number'),
    to_regclass(metering_month_table(%s)) IS NOT NULL"""
_LOOK_UP = """
SELECT array_agg(customer.key), array_agg(customer.id), bool_or(event.customer_id IS NOT NULL)
FROM billing_customer AS customer
LEFT JOIN metering_eventkey AS event
    ON event.customer_id = customer.id AND event.event_key = %s::uuid
        AND customer.key = %s::text
WHERE customer.key = ANY(%s::text[])"""

# One thread of a process reads events at a time. Python would compute in one anyway, but change
# between them every few milliseconds, each with its own objects in the processor's cache.
_computing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may carry, unpacked."""

    max_events: int = MAX_EVENTS
    max_bytes: int = MAX_BYTES


def ingest(
    *,
    body: bytes,
    content_type: str,
    now: datetime,
    content_encoding: str = "",
    allowed_customer_ids: Collection[int] | None = None,
    limits: Limits = Limits(),
    within: bool = False,
) -> IngestResult:
    """Accept the usage events of one request; what is accepted is durable.

    `allowed_customer_ids` limits an agent to some customers: the others are unknown to it. Locks
    the usage of the customers concerned. With `within` it is part of the caller's database
    transaction, which may still be given up, and shares it with nobody. Raises MalformedBody,
    TooLarge, and InvalidInput `unsupported_media_type`; nothing has changed then.
    """
    forms = FORMS.get(content_type.partition(";")[0].strip().lower())
    if forms is None:
        raise InvalidInput("unsupported_media_type", f"usage comes as one of: {', '.join(FORMS)}")
    unpacked = unpack(body, content_encoding, max_bytes=limits.max_bytes)
    events = decode_events(unpacked, one=forms[0], many=forms[1], max_events=limits.max_events)
    batch = _batch(events, allowed_customer_ids, now)
    result = storing.store_within(batch) if within else intake.accept(batch)
    result.refused.sort(key=lambda refusal: refusal.index)
    return result


def _batch(
    events: Iterable[Event | Refusal], allowed: Collection[int] | None, now: datetime
) -> Batch:
    """What may be stored of some events."""
    secret, number = _begin(now)
    with _computing:
        # Meters are only ever added to, so no lock is needed.
        reading = read(
            events, meters=lambda: read_price_book().book.units.keys(), secret=secret, now=now
        )
    customers, is_replay = _look_up(reading, allowed)
    columns, refused = reading.columns(customers)
    result = IngestResult(refused=refused)
    if is_replay:
        # As it seems: what is stored already is settled without a lock.
        columns = without_known(columns, result)
    return Batch.of(columns, number, result, now)


def _begin(now: datetime) -> tuple[bytes, int]:
    """The key of the event keys, and a number for a chunk. Makes the partition of the month if this
    is its first request."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [month_of(now)])
        secret, number, has_month = cursor.fetchone()
        if not has_month:
            cursor.execute("SELECT metering_add_month(%s)", [month_of(now)])
    return bytes(secret) if secret else event_store.new_event_key_secret(), number


def _look_up(reading: Reading, allowed: Collection[int] | None) -> tuple[dict[str, int], bool]:
    """The ids by key of those customers that events are about, and whether the first event is
    stored already."""
    keys = [key for key in reading.subjects() if _CUSTOMER_KEY.fullmatch(key)]
    subject, event_key = reading.first() or ("", None)
    with server_cursor() as cursor:
        asked = [event_key and event_key.hex(), subject, array_of(keys)]
        cursor.execute(_LOOK_UP, asked, prepare=True)
        known, ids, is_known = cursor.fetchone() or (None, None, None)
    customers = dict(zip(known or (), ids or (), strict=True))
    if allowed is not None:
        customers = {key: one for key, one in customers.items() if one in allowed}
    return customers, bool(is_known)
