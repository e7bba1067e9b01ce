"""Events as PostgreSQL keeps them: rows of binary COPY, packed from columns.

A chunk is one row that holds many events, an array a column; what events have in common (customer,
model, mode, source, project, labels) stands once in it, as an origin. Beside it each event has a
narrow row with its key, which makes it unique for ever. Events lie in the order of their customers,
so those of one customer, and their origins, are a stretch of the chunk: a run.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

from metering.domain.columns import Columns
from metering.domain.copy_format import (
    FILE_HEADER,
    FILE_TRAILER,
    INSTANT,
    JSONB,
    NULL,
    TEXT,
    array,
    bigints,
    jsonb,
    smallints,
    text,
    texts,
)

KEY_COLUMNS = "customer_id, event_key, chunk_id, fingerprint, place"
CHUNK_COLUMNS = (
    "id, received_at, origin_customers, origin_kinds, origin_models, origin_modes, origin_sources,"
    " origin_projects, origin_labels, origins, occurred_at, input_tokens, cached_input_tokens,"
    " output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_ids, extras"
)
_CHUNK_COLUMN_COUNT = 19
_KEY_ROW = struct.Struct(">hiqi16siqiIih").pack
_CHUNK_HEAD = struct.Struct(">hiqiq").pack
MONTH_SHIFT = 40  # bits of a chunk's number within its month; above them stands the month


def key_rows(columns: Columns, chunk_id: int) -> list[bytes]:
    """Rows of a binary COPY of KEY_COLUMNS, unsorted; as bytes they sort by customer and key."""
    customers = [origin.customer_id for origin in columns.origins]
    return [
        _KEY_ROW(5, 8, customers[origin], 16, key, 8, chunk_id, 4, print_, 2, place)
        for place, (origin, key, print_) in enumerate(
            zip(columns.origin, columns.keys, columns.fingerprints, strict=True), 1
        )
    ]


def chunk_row(columns: Columns, chunk_id: int, received_us: int) -> bytes:
    """A row of a binary COPY of CHUNK_COLUMNS."""
    origins = columns.origins
    has_hardware = bool(columns.gpu_seconds)
    extras = [NULL] * len(columns) if columns.extras else []
    for position, said in columns.extras.items():
        extras[position] = jsonb(said)
    return b"".join(
        (
            _CHUNK_HEAD(_CHUNK_COLUMN_COUNT, 8, chunk_id, 8, received_us),
            bigints([origin.customer_id for origin in origins]),
            smallints([origin.kind for origin in origins]),
            _few_texts([origin.model for origin in origins]),
            _few_texts([origin.mode for origin in origins]),
            _few_texts([origin.source for origin in origins]),
            _few_texts([origin.project for origin in origins]),
            array(JSONB, [_labels(one.endpoint, one.region, one.is_async) for one in origins]),
            smallints([number + 1 for number in columns.origin]),
            bigints(columns.occurred_us, INSTANT),
            bigints(columns.input_tokens),
            bigints(columns.cached_input_tokens),
            bigints(columns.output_tokens),
            bigints(columns.reasoning_tokens),
            bigints(columns.whole("gpu_seconds")) if has_hardware else NULL,
            bigints(columns.whole("busy_gpu_seconds")) if has_hardware else NULL,
            texts(columns.ids),
            array(JSONB, extras) if extras else NULL,
        )
    )


def _few_texts(values: Sequence[str | None]) -> bytes:
    """An array of text in which few values come often."""
    packed = {value: text(value) for value in set(values)}
    return array(TEXT, [packed[value] for value in values])


@lru_cache(maxsize=1024)
def _labels(endpoint: str | None, region: str | None, is_async: bool | None) -> bytes:
    """Endpoint, region and async, as far as they were said."""
    asked = {"endpoint": endpoint, "region": region, "async": is_async}
    said: dict[str, object] = {key: value for key, value in asked.items() if value is not None}
    return jsonb(said) if said else NULL


def copied(rows: Sequence[bytes]) -> bytes:
    """A whole binary COPY of packed rows."""
    return b"".join((FILE_HEADER, *rows, FILE_TRAILER))
