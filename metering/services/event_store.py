"""Writes events into their table, each once for ever, and finds them again by their keys.

An event that is found is there for ever, as it is: that needs no lock. What is found missing stays
missing only while the usage lock of its customer is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes

from django.db import IntegrityError, connection

from billing.domain.array_format import array_of
from metering.domain.rows import COLUMNS, Row, copy_data, signed

_COPY = f"COPY metering_usageevent ({COLUMNS}) FROM STDIN (FORMAT BINARY)"
_SECRET = "SELECT secret FROM metering_eventkeysecret"  # noqa: S105 (its statement, not a secret)
_NEW_SECRET = (
    "INSERT INTO metering_eventkeysecret (id, secret) VALUES (1, %s) ON CONFLICT DO NOTHING"  # noqa: S105
)
_FINGERPRINTS = """
SELECT asked.place, event.fingerprint
FROM unnest(%s::bigint[], %s::uuid[]) WITH ORDINALITY AS asked (customer_id, event_key, place)
JOIN metering_usageevent AS event USING (customer_id, event_key)"""
_CONTENTS = """
SELECT event.customer_id, event.event_key, event.kind, event.occurred_at, event.model, event.mode,
    event.input_tokens, event.cached_input_tokens, event.output_tokens, event.gpu_seconds,
    ARRAY(SELECT key FROM jsonb_each_text(event.extra -> 'quantities') ORDER BY key),
    ARRAY(SELECT value::bigint FROM jsonb_each_text(event.extra -> 'quantities') ORDER BY key),
    EXISTS (SELECT 1 FROM metering_usageevent AS void
            WHERE void.customer_id = event.customer_id AND void.target_key = event.event_key)
FROM unnest(%s::bigint[], %s::uuid[]) AS asked (customer_id, event_key)
JOIN metering_usageevent AS event USING (customer_id, event_key)"""

_BUILT_IN = ("input_tokens", "cached_input_tokens", "output_tokens", "gpu_seconds")

_UNIQUE_VIOLATION = "23505"

EventRef = tuple[int, bytes]  # a customer's id and an event key


class EventKnown(Exception):
    """An event with the same customer and key is stored already."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What a void needs to know of its target. Quantities by meter, zeros left out."""

    kind: int
    occurred_at: datetime
    model: str
    mode: str
    quantities: dict[str, int]
    is_voided: bool


def new_event_key_secret() -> bytes:
    """The key of the event keys, made at first use; of two processes that make one, one wins."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_SECRET, [token_bytes(32)])
        cursor.execute(_SECRET)
        return bytes(cursor.fetchone()[0])


def insert(*, rows: Sequence[Row], sequences: Mapping[int, int]) -> None:
    """Insert rows with distinct keys, sorted. `sequences` gives each customer's one before them.

    Raises EventKnown if one of the keys is there already; the database transaction is lost then.
    """
    if not rows:
        return
    data = copy_data(rows, sequences)
    try:
        with (
            connection.cursor() as cursor,
            connection.wrap_database_errors,
            cursor.copy(_COPY) as copy,
        ):
            copy.write(data)
    except IntegrityError as error:
        if getattr(error.__cause__, "sqlstate", None) == _UNIQUE_VIOLATION:
            raise EventKnown from error
        raise


def split(
    rows: Iterable[Row], known: Mapping[EventRef, int]
) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows into (new, duplicates, conflicts), given the fingerprints of those that are known."""
    new, duplicates, conflicts = [], [], []
    for row in rows:
        print_ = known.get((row.customer_id, row.key))
        if print_ is None:
            new.append(row)
        elif print_ == signed(row.fingerprint):
            duplicates.append(row)
        else:
            conflicts.append(row)
    return new, duplicates, conflicts


def fingerprints(*, refs: Sequence[EventRef]) -> dict[EventRef, int]:
    """The fingerprints of those events that are stored."""
    with connection.cursor() as cursor:
        cursor.execute(_FINGERPRINTS, _columns(refs))
        return {refs[place - 1]: print_ for place, print_ in cursor.fetchall()}


def contents(*, refs: Sequence[EventRef]) -> dict[EventRef, StoredEvent]:
    """The contents of those events that are stored."""
    with connection.cursor() as cursor:
        cursor.execute(_CONTENTS, _columns(refs))
        rows = cursor.fetchall()
    found: dict[EventRef, StoredEvent] = {}
    for customer, key, kind, at, model, mode, *built_in, names, values, is_voided in rows:
        quantities = dict(zip(_BUILT_IN, built_in, strict=True))
        for name, value in zip(names, values, strict=True):
            quantities[name] = quantities.get(name, 0) + value
        quantities = {name: value for name, value in quantities.items() if value}
        found[customer, key.bytes] = StoredEvent(kind, at, model, mode, quantities, is_voided)
    return found


def _columns(refs: Sequence[EventRef]) -> list[str]:
    return [array_of(customer for customer, _ in refs), array_of(key.hex() for _, key in refs)]
