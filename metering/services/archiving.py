"""Moves the words of old events into Parquet files: what they were called, where they came from.

An event stays in its table for ever with what makes it unique (customer, key, fingerprint) and
what it is worth (time, model, mode, quantities, project, sequence), so that a replay of it is still
a duplicate, other content a conflict, a void is taken, and every dollar can be counted again
without any file. Its source, id and labels, most of its bytes, move into the file of its month,
which holds the whole event; the table's room is used again by new ones. Keys kept apart
from partitions would cost each event a second row from its first day on.

pyarrow is needed for this alone (requirements-archive.in).
"""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from billing.domain.errors import Conflict, InvalidInput, InvariantViolation
from metering.models import UsageArchive

YOUNGEST = timedelta(days=35)
ROWS_AT_ONCE = 50_000
_LOCK = (1835365490, 2)  # "metr", as the price book's: one archive at a time.
_SUMMED = (
    "seq", "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens",
    "gpu_seconds", "busy_gpu_seconds",
)  # fmt: skip

# Voids stay as they are, being few; so does what waits or waited for a price, which finance names
# by its source and id.
_WHERE = """
WHERE event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND event.kind <> 4 AND event.event_id <> ''
    AND NOT EXISTS (SELECT FROM metering_unratedusage AS known
        WHERE known.customer_id = event.customer_id AND known.event_key = event.event_key)"""
_EVENTS = f"""
SELECT customer.key, event.customer_id, event.event_key::text, event.seq, event.occurred_at,
    event.received_at, event.fingerprint, event.kind, event.source, event.event_id, event.model,
    event.mode, event.input_tokens, event.cached_input_tokens, event.output_tokens,
    event.reasoning_tokens, event.gpu_seconds, event.busy_gpu_seconds, event.project,
    event.extra::text
FROM metering_usageevent AS event
JOIN billing_customer AS customer ON customer.id = event.customer_id
{_WHERE}
ORDER BY event.customer_id, event.seq"""  # noqa: S608 - our own text
_EMPTY = f"""
UPDATE metering_usageevent AS event SET source = %(name)s, event_id = '',
    extra = CASE WHEN event.extra ? 'quantities'
        THEN jsonb_build_object('quantities', event.extra -> 'quantities') END
{_WHERE}"""  # noqa: S608 - our own text


def archive_month(*, month: datetime, directory: Path, now: datetime) -> UsageArchive | None:
    """Archive the events of the UTC month that starts at `month`; None if there are none.

    One transaction with one view of the events: the file is written, read back and compared
    before a row is emptied, so that whatever breaks leaves the table as it was. Late events of a
    month make a further file. Raises InvalidInput `not_a_month`, `too_young`; Conflict
    `archiving` while another runs.
    """
    if (month.day, month.hour, month.minute, month.second, month.microsecond) != (1, 0, 0, 0, 0):
        raise InvalidInput("not_a_month", f"{month} is not the start of a month")
    end = (month + timedelta(days=32)).replace(day=1)
    if end > now - YOUNGEST:
        raise InvalidInput("too_young", f"a month is archived {YOUNGEST.days} days after its end")
    directory.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"start": month, "end": end}
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
            if not cursor.fetchone()[0]:
                raise Conflict("archiving", "another archive is being written")
        draft = directory / f".usage-{month:%Y-%m}.draft"
        count, sums = _write(draft, given)
        if not count:
            draft.unlink()
            return None
        _compare(draft, count, sums)
        digest = sha256_of(draft)
        file = f"usage-{month:%Y-%m}-{digest[:12]}.parquet"
        archive = UsageArchive.objects.create(
            starts_at=month, ends_at=end, file=file, sha256=digest, row_count=count,
            sums={name: str(total) for name, total in sums.items()}, archived_at=now,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(_EMPTY, {**given, "name": f"archive/{archive.pk}"})
            if cursor.rowcount != count:
                raise InvariantViolation(
                    "archive_differs", f"{count} events were written, {cursor.rowcount} emptied"
                )
        draft.rename(directory / file)
        _sync(directory)
    return archive


def archive_problems(*, directory: Path) -> list[str]:
    """What is wrong with the files on record: missing, changed, or other than recorded."""
    problems = []
    for archive in UsageArchive.objects.order_by("id"):
        path = directory / archive.file
        if not path.exists():
            problems.append(f"archive {archive.pk}: {archive.file} is not in {directory}")
        elif sha256_of(path) != archive.sha256:
            problems.append(f"archive {archive.pk}: {archive.file} has been changed")
        else:
            count, sums = _counted(path)
            recorded = {name: int(total) for name, total in archive.sums.items()}
            if (count, sums) != (archive.row_count, recorded):
                problems.append(f"archive {archive.pk}: {archive.file} holds other sums")
    return problems


def sha256_of(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, given: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """Write the chosen events, synced to disk: how many, and what their quantities come to."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(pyarrow)
    count, sums = 0, dict.fromkeys(_SUMMED, 0)
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _chunks(given):
            columns = dict(zip(schema.names, zip(*rows, strict=True), strict=True))
            writer.write_table(
                pyarrow.table(
                    {name: pyarrow.array(columns[name], schema.field(name).type)
                     for name in schema.names},
                    schema=schema,
                )
            )  # fmt: skip
            count += len(rows)
            for name in _SUMMED:
                sums[name] += sum(columns[name])
    _sync(path)
    return count, sums


def _chunks(given: dict[str, Any]) -> Iterator[list[tuple[Any, ...]]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EVENTS, given)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield rows


def _schema(pyarrow: Any) -> Any:
    text, number = pyarrow.string(), pyarrow.int64()
    instant = pyarrow.timestamp("us", tz="UTC")
    return pyarrow.schema(
        [
            ("customer", text), ("customer_id", number), ("event_key", text), ("seq", number),
            ("occurred_at", instant), ("received_at", instant), ("fingerprint", number),
            ("kind", pyarrow.int16()), ("source", text), ("event_id", text), ("model", text),
            ("mode", text), ("input_tokens", number), ("cached_input_tokens", number),
            ("output_tokens", number), ("reasoning_tokens", number), ("gpu_seconds", number),
            ("busy_gpu_seconds", number), ("project", text), ("extra", text),
        ]
    )  # fmt: skip


def _counted(path: Path) -> tuple[int, dict[str, int]]:
    """How many events a file holds, and what their quantities come to. Exact, in bounded memory."""
    from pyarrow import parquet

    count, sums = 0, dict.fromkeys(_SUMMED, 0)
    for batch in parquet.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=list(_SUMMED)):
        count += batch.num_rows
        for name in _SUMMED:
            sums[name] += sum(batch.column(name).to_pylist())
    return count, sums


def _compare(path: Path, count: int, sums: dict[str, int]) -> None:
    if _counted(path) != (count, sums):
        raise InvariantViolation("archive_differs", "the file does not hold what was written")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def month_of(text: str) -> datetime:
    """The start of a UTC month from `2026-01`. Raises InvalidInput `not_a_month`."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput("not_a_month", f"{text!r} is not a month like 2026-01") from error
