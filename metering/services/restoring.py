"""Puts the words of archived events back from their Parquet file, so that no archive is an end."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from billing.domain.errors import InvariantViolation, NotFound
from metering.domain.columns import month_of as number_of
from metering.models import UsageArchive
from metering.services import archive_files
from metering.services.archiving import problem_of
from metering.services.partitions import beside, lock_partition, replace_partition

_WORDS = ["chunk_id", "place", "origin", "source", "event_id", "labels", "extra"]
_MADE = """
CREATE TEMPORARY TABLE metering_restored (
    chunk_id bigint, place int, origin int, source text, event_id text, labels jsonb, extra jsonb
) ON COMMIT DROP"""
_COPY = f"COPY metering_restored ({', '.join(_WORDS)}) FROM STDIN"
_CHUNKS = """
INSERT INTO {new} (
    id, received_at, origin_customers, origin_kinds, origin_models, origin_modes, origin_sources,
    origin_projects, origin_labels, origins, occurred_at, input_tokens, cached_input_tokens,
    output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_ids, extras)
SELECT chunk.id, received_at, origin_customers, origin_kinds, origin_models, origin_modes,
    origin.sources, origin_projects, origin.labels, origins, occurred_at, input_tokens,
    cached_input_tokens, output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, event.ids,
    event.extras
FROM {table} AS chunk
JOIN (
    SELECT chunk_id, array_agg(event_id ORDER BY place) AS ids,
        CASE WHEN count(extra) > 0 THEN array_agg(extra ORDER BY place) END AS extras
    FROM metering_restored GROUP BY chunk_id
) AS event ON event.chunk_id = chunk.id
JOIN (
    SELECT chunk_id, array_agg(source ORDER BY origin) AS sources,
        array_agg(labels ORDER BY origin) AS labels
    FROM (SELECT DISTINCT chunk_id, origin, source, labels FROM metering_restored) AS origins
    GROUP BY chunk_id
) AS origin ON origin.chunk_id = chunk.id
ORDER BY chunk.id"""
_COUNTED = """
SELECT (SELECT count(*) FROM {table}), (SELECT count(*) FROM {new}),
    (SELECT coalesce(sum(cardinality(event_ids)), 0) FROM {new})"""


def restore_month(*, month: datetime, directory: Path, now: datetime) -> UsageArchive:
    """Put the events that arrived in a UTC month back as they were reported. The file stays.

    Raises NotFound `not_archived`; InvariantViolation `archive_differs` where the file is not as
    recorded, or does not fit; Conflict `archiving`, `busy`.
    """
    number = number_of(month)
    with transaction.atomic(durable=True):
        table = lock_partition(number)
        archive = UsageArchive.objects.filter(month=number, restored_at=None).first()
        if table is None or archive is None:
            raise NotFound("not_archived", f"{month:%Y-%m} is not archived")
        if problem := problem_of(archive, directory):
            raise InvariantViolation("archive_differs", problem)
        new = beside(table)
        with connection.cursor() as cursor:
            cursor.execute(_MADE)
            for rows in _whole_chunks(directory / archive.file):
                with cursor.copy(_COPY) as copy:
                    for row in rows:
                        copy.write_row(row)
                cursor.execute(_CHUNKS.format(table=table, new=new))
                cursor.execute("TRUNCATE metering_restored")
            cursor.execute(_COUNTED.format(table=table, new=new))
            chunks, restored, events = cursor.fetchone()
        if (chunks, archive.row_count) != (restored, events):
            raise InvariantViolation("archive_differs", f"{archive.file} holds other events")
        replace_partition(number, table, new)
        archive.restored_at = now
        archive.save(update_fields=["restored_at"])
    return archive


def _whole_chunks(path: Path) -> Iterator[list[tuple[Any, ...]]]:
    """What a file holds of words, some rows at a time, no chunk torn apart."""
    waiting: list[tuple[Any, ...]] = []
    for columns in archive_files.read(path, _WORDS):
        waiting += zip(*columns.values(), strict=True)
        last = waiting[-1][0]
        whole = next(
            at for at in reversed(range(len(waiting) + 1)) if at == 0 or waiting[at - 1][0] != last
        )
        if whole:
            yield waiting[:whole]
            waiting = waiting[whole:]
    if waiting:
        yield waiting
