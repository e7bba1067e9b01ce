"""Parquet files of events: written, read back, compared. Each row is a whole event.

`chunk_id`, `place` and `origin` say where it lies, in which order the rows are. pyarrow is needed
for this alone (requirements-archive.in).
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

ROWS_AT_ONCE = 50_000
SUMMED = (
    "seq", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "gpu_seconds", "busy_gpu_seconds",
)  # fmt: skip
NAMES = "checksum of names"
NAMED = ("source", "event_id")
Sums = dict[str, int]


def write(path: Path, batches: Iterable[list[tuple[Any, ...]]]) -> tuple[int, Sums]:
    """Write rows of `schema`'s columns, synced to disk: how many, and what they come to."""
    import pyarrow
    from pyarrow import parquet

    rows_schema = schema(pyarrow)
    count, sums = 0, _nothing()
    with parquet.ParquetWriter(path, rows_schema, compression="zstd") as writer:
        for rows in batches:
            columns = dict(zip(rows_schema.names, zip(*rows, strict=True), strict=True))
            arrays = [
                pyarrow.array(columns[name], rows_schema.field(name).type)
                for name in rows_schema.names
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=rows_schema))
            count += len(rows)
            _add(sums, columns)
    sync(path)
    return count, sums


def counted(path: Path) -> tuple[int, Sums]:
    """How many events a file holds, and what they come to. Exact, in bounded memory."""
    count, sums = 0, _nothing()
    for columns in read(path, [*SUMMED, *NAMED]):
        count += len(columns["seq"])
        _add(sums, columns)
    return count, sums


def read(path: Path, names: list[str]) -> Iterator[dict[str, Any]]:
    """Some columns of the events, in their order, some rows at a time."""
    from pyarrow import parquet

    for batch in parquet.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=names):
        yield {name: batch.column(name).to_pylist() for name in names}


def schema(pyarrow: Any) -> Any:
    """The columns of an event."""
    text, number = pyarrow.string(), pyarrow.int64()
    instant = pyarrow.timestamp("us", tz="UTC")
    return pyarrow.schema(
        [
            ("customer", text), ("customer_id", number), ("seq", number), ("chunk_id", number),
            ("place", number), ("origin", number), ("occurred_at", instant),
            ("received_at", instant), ("kind", pyarrow.int16()), ("source", text),
            ("event_id", text), ("model", text), ("mode", text), ("input_tokens", number),
            ("cached_input_tokens", number), ("output_tokens", number),
            ("reasoning_tokens", number), ("gpu_seconds", number), ("busy_gpu_seconds", number),
            ("project", text), ("labels", text), ("extra", text),
        ]
    )  # fmt: skip


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Make sure that a file, or the names in a directory, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _nothing() -> Sums:
    return dict.fromkeys((*SUMMED, NAMES), 0)


def _add(sums: Sums, columns: dict[str, Any]) -> None:
    for name in SUMMED:
        sums[name] += sum(columns[name])
    for event in zip(*(columns[name] for name in NAMED), strict=True):
        sums[NAMES] = crc32("\0".join(event).encode(), sums[NAMES])
