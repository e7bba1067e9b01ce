"""Events as PostgreSQL keeps them: rows of binary COPY, packed from columns.

A chunk is one row that holds many events, an array a column; what events have in common (customer,
model, mode, source, project, labels) stands once in it, as an origin. Beside it each event has a
narrow row with its key, which makes it unique for ever. Events lie in the order of their customers,
so those of one customer, and their origins, are a stretch of the chunk: a run.
"""

import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from metering.domain.columns import (
    BUSY_GPU_TIME,
    CACHED_INPUT,
    GPU_TIME,
    INPUT,
    OCCURRED,
    OUTPUT,
    REASONING,
    Columns,
)
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
# A row of binary COPY: how many columns, and each behind its length.
_KEY_ROW = np.dtype(
    [
        ("columns", ">i2"),
        ("of_customer", ">i4"), ("customer", ">i8"),
        ("of_key", ">i4"), ("key", ">u8", 2),
        ("of_chunk", ">i4"), ("chunk", ">i8"),
        ("of_fingerprint", ">i4"), ("fingerprint", ">u4"),
        ("of_place", ">i4"), ("place", ">i2"),
    ]
)  # fmt: skip
_LENGTHS = {
    "columns": 5, "of_customer": 8, "of_key": 16, "of_chunk": 8, "of_fingerprint": 4, "of_place": 2,
}  # fmt: skip
_CHUNK_HEAD = struct.Struct(">hiqiq").pack
MONTH_SHIFT = 40  # bits of a chunk's number within its month; above them stands the month


def key_rows(columns: Columns, chunk_id: int) -> bytes:
    """Rows of a binary COPY of KEY_COLUMNS, in the order of customers and keys."""
    customers = columns.customers()
    rows = np.empty(len(columns), dtype=_KEY_ROW)
    for name, length in _LENGTHS.items():
        rows[name] = length
    rows["customer"] = customers
    rows["key"] = columns.keys
    rows["chunk"] = chunk_id
    rows["fingerprint"] = columns.fingerprints
    rows["place"] = np.arange(1, len(columns) + 1)
    # Half a key tells two of them apart but once in 2^64 pairs.
    return rows[np.lexsort((columns.keys[:, 0].astype(np.uint64), customers))].tobytes()


def chunk_row(columns: Columns, chunk_id: int, received_us: int) -> bytes:
    """A row of a binary COPY of CHUNK_COLUMNS."""
    origins, figures = columns.origins, columns.figures
    has_hardware = bool(figures[:, GPU_TIME].any())
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
            smallints(columns.origin + 1),
            bigints(figures[:, OCCURRED], INSTANT),
            bigints(figures[:, INPUT]),
            bigints(figures[:, CACHED_INPUT]),
            bigints(figures[:, OUTPUT]),
            bigints(figures[:, REASONING]),
            bigints(figures[:, GPU_TIME]) if has_hardware else NULL,
            bigints(figures[:, BUSY_GPU_TIME]) if has_hardware else NULL,
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


def copied(rows: bytes) -> bytes:
    """A whole binary COPY of packed rows."""
    return b"".join((FILE_HEADER, rows, FILE_TRAILER))
