"""Writes events into their chunks and keys, each once for ever, and finds them by their keys.

An event that is found is there for ever, as it is: that needs no lock. What is found missing stays
missing only while the usage lock of its customer is held, or by the uniqueness of its key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes

import numpy as np
from django.db import IntegrityError, connection

from billing.domain.array_format import array_of
from billing.services.prepared import server_cursor
from metering.domain import chunks
from metering.domain.columns import Columns, microseconds

_KEYS = f"COPY metering_eventkey ({chunks.KEY_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_CHUNKS = f"COPY metering_usagechunk ({chunks.CHUNK_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_SECRET = "SELECT secret FROM metering_eventkeysecret"  # noqa: S105 (its statement, not a secret)
_NEW_SECRET = (
    "INSERT INTO metering_eventkeysecret (id, secret) VALUES (1, %s) ON CONFLICT DO NOTHING"  # noqa: S105
)
# 0 stands for any content: of some events stored long ago it is no longer known.
_NOT_STORED_ALIKE = """
SELECT asked.n - 1, key.fingerprint IS NOT NULL
FROM unnest(%s::bigint[], %s::uuid[], %s::int[]) WITH ORDINALITY
    AS asked (customer_id, event_key, fingerprint, n)
LEFT JOIN metering_eventkey AS key USING (customer_id, event_key)
WHERE key.fingerprint IS NULL OR key.fingerprint NOT IN (asked.fingerprint, 0)
ORDER BY asked.n"""
_CONTENTS = """
SELECT asked.n, key.chunk_id, key.place,
    (chunk.origin_kinds)[origin], (chunk.occurred_at)[key.place], (chunk.origin_models)[origin],
    (chunk.origin_modes)[origin], (chunk.input_tokens)[key.place],
    (chunk.cached_input_tokens)[key.place], (chunk.output_tokens)[key.place],
    coalesce((chunk.gpu_seconds)[key.place], 0),
    ARRAY(SELECT key FROM jsonb_each_text((chunk.extras)[key.place] -> 'quantities') ORDER BY key),
    ARRAY(SELECT value::bigint FROM jsonb_each_text((chunk.extras)[key.place] -> 'quantities')
        ORDER BY key),
    EXISTS (SELECT 1 FROM metering_usagevoid AS void
            WHERE void.chunk_id = key.chunk_id AND void.place = key.place)
FROM unnest(%s::bigint[], %s::uuid[]) WITH ORDINALITY AS asked (customer_id, event_key, n)
JOIN metering_eventkey AS key USING (customer_id, event_key)
JOIN metering_usagechunk AS chunk ON chunk.id = key.chunk_id
CROSS JOIN LATERAL (SELECT (chunk.origins)[key.place] AS origin) AS its"""

_VOID = """
INSERT INTO metering_usagevoid (customer_id, chunk_id, place, seq, source, event_id)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::text[],
    %s::text[])"""

_BUILT_IN = ("input_tokens", "cached_input_tokens", "output_tokens", "gpu_seconds")

_UNIQUE_VIOLATION = "23505"

EventRef = tuple[int, bytes]  # a customer's id and an event key


class EventKnown(Exception):
    """An event with the same customer and key is stored already."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """What a void needs to know of its target. Quantities by meter, zeros left out."""

    chunk_id: int
    place: int
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


def insert(*, columns: Columns, chunk_id: int, received_at: datetime) -> None:
    """Insert a chunk and the keys of its events. Needs no lock: until they have their sequence
    numbers, nobody reads them.

    Raises EventKnown if one of the keys is there already, or comes twice; the database transaction
    is lost then. Keys go in sorted, so that two who bring the same ones wait in one order.
    """
    rows = chunks.key_rows(columns, chunk_id)
    try:
        with connection.wrap_database_errors:
            _copy(_KEYS, rows)
    except IntegrityError as error:
        if getattr(error.__cause__, "sqlstate", None) == _UNIQUE_VIOLATION:
            raise EventKnown from error
        raise
    _copy(_CHUNKS, chunks.chunk_row(columns, chunk_id, microseconds(received_at)))


def next_number() -> int:
    """A number for a chunk that nobody else has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('metering_chunk_number')")
        return int(cursor.fetchone()[0])


def insert_voids(
    *,
    columns: Columns,
    targets: Sequence[tuple[int, int]],
    reached: Mapping[int, int],
) -> None:
    """Note which events the voids in `columns` took back: (chunk, place) of each one's target.

    `reached` gives each customer's last sequence number, which is that of its last void.
    """
    seqs: list[int] = []
    for run in columns.runs():
        seqs += range(reached[run.customer_id] - run.event_count + 1, reached[run.customer_id] + 1)
    if seqs:
        origins = [columns.origins[one] for one in columns.origin.tolist()]
        with connection.cursor() as cursor:
            cursor.execute(
                _VOID,
                [
                    columns.customers().tolist(),
                    [chunk_id for chunk_id, _ in targets],
                    [place for _, place in targets],
                    seqs,
                    [origin.source for origin in origins],
                    columns.ids,
                ],
            )


def _copy(statement: str, rows: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(chunks.copied(rows))


def not_stored_alike(columns: Columns) -> list[tuple[int, bool]]:
    """The positions of those events that are not stored with the same content, in their order, and
    whether they are with another."""
    keys = columns.keys.astype(">u8").tobytes().hex()
    with server_cursor() as cursor:
        asked = [
            array_of(columns.customers().tolist()),
            array_of([keys[at : at + 32] for at in range(0, len(keys), 32)]),
            array_of(columns.fingerprints.view(np.int32).tolist()),
        ]
        cursor.execute(_NOT_STORED_ALIKE, asked, prepare=True)
        return cursor.fetchall()


def contents(*, refs: Sequence[EventRef]) -> dict[EventRef, StoredEvent]:
    """The contents of those events that are stored."""
    with connection.cursor() as cursor:
        cursor.execute(_CONTENTS, _columns(refs))
        rows = cursor.fetchall()
    found: dict[EventRef, StoredEvent] = {}
    for n, chunk_id, place, kind, at, model, mode, *built_in, names, values, is_voided in rows:
        quantities = dict(zip(_BUILT_IN, built_in, strict=True))
        for name, value in zip(names, values, strict=True):
            quantities[name] = quantities.get(name, 0) + value
        quantities = {name: value for name, value in quantities.items() if value}
        found[refs[n - 1]] = StoredEvent(
            chunk_id, place, kind, at, model, mode, quantities, is_voided
        )
    return found


def _columns(refs: Sequence[EventRef]) -> list[str]:
    return [array_of(customer for customer, _ in refs), array_of(key.hex() for _, key in refs)]
