"""Takes usage in: exactly once, rated, rolled up and durable when it returns.

One database transaction a request: the usage locks of its customers in order, the events, their
rates, the rollups, what could not be rated. A refused event never holds up the others. Nothing is
asked of the ORM for a single event: at 100,000 events a second there are ten microseconds for one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection, transaction

from billing.domain.errors import InvalidInput
from billing.services.retrying import retried
from metering.domain.bodies import MAX_BYTES, MAX_EVENTS, decode_events, unpack
from metering.domain.events import Event, QuantitiesEvent, Refusal, VoidEvent
from metering.domain.rows import Packer, Row
from metering.models import UsageState
from metering.services import event_store
from metering.services.book_snapshot import read_price_book
from metering.services.drawing_up import draw_up
from metering.services.rating import customer_rates
from metering.services.rollups import add_usage
from metering.services.usage_lock import lock_usage
from metering.services.voids import accept_voids

# Which forms a content type allows: (one event, an array of them).
FORMS = {
    "application/cloudevents-batch+json": (False, True),
    "application/cloudevents+json": (True, False),
    "application/json": (True, True),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may carry, unpacked."""

    max_events: int = MAX_EVENTS
    max_bytes: int = MAX_BYTES


@dataclass(slots=True)
class IngestResult:
    """What became of a request's events. `unrated` of the `accepted` wait to be rated."""

    accepted: int = 0
    duplicates: int = 0
    unrated: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def refuse(self, rows: Sequence[Row], code: str, detail: str) -> None:
        """Add a refusal for each row."""
        self.refused.extend(Refusal(row.place, row.event.id, code, detail) for row in rows)


_OTHER_CONTENT = "this source and id came before with other content"


def ingest(
    *,
    body: bytes,
    content_type: str,
    now: datetime,
    content_encoding: str = "",
    allowed_customer_ids: Collection[int] | None = None,
    limits: Limits = Limits(),
) -> IngestResult:
    """Accept the usage events of one request; what is accepted is durable.

    `allowed_customer_ids` limits an agent to some customers: the others are unknown to it. Locks
    the usage of the customers concerned. Raises MalformedBody, TooLarge, and InvalidInput
    `unsupported_media_type`; nothing has changed then.
    """
    forms = FORMS.get(content_type.partition(";")[0].strip().lower())
    if forms is None:
        raise InvalidInput("unsupported_media_type", f"usage comes as one of: {', '.join(FORMS)}")
    unpacked = unpack(body, content_encoding, max_bytes=limits.max_bytes)
    events = decode_events(unpacked, one=forms[0], many=forms[1], max_events=limits.max_events)
    secret, customers = _look_up(events, allowed_customer_ids)
    rows, refused = Packer(secret).rows(events, customers, _meters_of(events), now)
    result = _stored(rows, refused, now) if rows else IngestResult(refused=list(refused))
    result.refused.sort(key=lambda refusal: refusal.index)
    return result


@retried
def _stored(rows: Sequence[Row], refused: Sequence[Refusal], now: datetime) -> IngestResult:
    """One attempt: a result of its own, because of one that failed nothing was kept."""
    result = IngestResult(refused=list(refused))
    with transaction.atomic(durable=True):
        _accept(rows, result, now)
    return result


def _look_up(
    events: Sequence[Event | Refusal], allowed: Collection[int] | None
) -> tuple[bytes, dict[str, int]]:
    """The key of the event keys, and the ids by key of those customers that events are about."""
    keys = {event.subject for event in events if not isinstance(event, Refusal)}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT secret FROM metering_eventkeysecret), array_agg(key), array_agg(id)"
            " FROM billing_customer WHERE key = ANY(%s)",
            [list(keys)],
        )
        secret, known, ids = cursor.fetchone()
    customers = dict(zip(known or (), ids or (), strict=True))
    if allowed is not None:
        customers = {key: one for key, one in customers.items() if one in allowed}
    return bytes(secret) if secret else event_store.new_event_key_secret(), customers


def _meters_of(events: Sequence[Event | Refusal]) -> frozenset[str]:
    """The defined meters, if anybody asks. They are only ever added to, so no lock is needed."""
    if not any(isinstance(event, QuantitiesEvent) for event in events):
        return frozenset()
    return frozenset(read_price_book().book.units)


def _accept(rows: Sequence[Row], result: IngestResult, now: datetime) -> None:
    """Store and rate in the current database transaction."""
    distinct = _once_each(rows, result)
    states = lock_usage(customer_ids=[row.customer_id for row in distinct])
    sequences = {customer_id: state.ingest_seq for customer_id, state in states.items()}
    rates = customer_rates(
        terms_versions={customer_id: one.terms_version for customer_id, one in states.items()}
    )
    usage = [row for row in distinct if not isinstance(row.event, VoidEvent)]
    new, duplicates, conflicts = event_store.store(rows=usage, sequences=sequences, now=now)
    _count_on(sequences, new)
    result.accepted += len(new)
    result.duplicates += len(duplicates)
    result.refuse(conflicts, "conflict", _OTHER_CONTENT)
    rated, unrated = draw_up(rows=new, rates=rates, now=now)
    result.unrated += unrated
    if len(usage) < len(distinct):
        voids = [row for row in distinct if isinstance(row.event, VoidEvent)]
        outcome = accept_voids(rows=voids, sequences=sequences, rates=rates, now=now)
        _count_on(sequences, outcome.new)
        result.accepted += len(outcome.new)
        result.duplicates += outcome.duplicates
        for row, code, detail in outcome.refused:
            result.refuse([row], code, detail)
        rated.extend(outcome.taken_off)
    add_usage(rows=rated)
    _write_sequences(states, sequences)


def _once_each(rows: Sequence[Row], result: IngestResult) -> list[Row]:
    """Rows with distinct keys, sorted; of several with one key the first one counts."""
    first: dict[tuple[int, bytes], Row] = {}
    for row in rows:
        known = first.setdefault((row.customer_id, row.key), row)
        if known is row:
            continue
        if known.fingerprint == row.fingerprint:
            result.duplicates += 1
        else:
            result.refuse([row], "conflict", _OTHER_CONTENT)
    return sorted(first.values())


def _count_on(sequences: dict[int, int], rows: Sequence[Row]) -> None:
    for row in rows:
        sequences[row.customer_id] += 1


def _write_sequences(states: Mapping[int, UsageState], sequences: Mapping[int, int]) -> None:
    moved = [one for one, state in states.items() if sequences[one] != state.ingest_seq]
    if moved:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE metering_usagestate AS state SET ingest_seq = fresh.seq"
                " FROM unnest(%s::bigint[], %s::bigint[]) AS fresh (customer_id, seq)"
                " WHERE state.customer_id = fresh.customer_id",
                [moved, [sequences[one] for one in moved]],
            )
