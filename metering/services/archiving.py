"""Moves the words of old events into Parquet files: what they were called, where they came from.

A file holds the events that arrived in one UTC month, whole. They stay in their table with what
makes them unique (their keys) and what they are worth (time, model, mode, quantities, project,
sequence), so that a replay is still a duplicate, other content a conflict, a void is taken, and
every dollar can be counted again without any file. A month is one partition: it is copied without
ids, sources, labels and reasons, and the copy takes its place, so the disk is given back at once.

`archive_files` knows the files, `restoring` puts a month back.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from billing.domain.errors import Conflict, InvalidInput, InvariantViolation
from metering.domain.columns import month_of as number_of
from metering.models import UsageArchive
from metering.services import archive_files
from metering.services.partitions import beside, lock_partition, replace_partition

YOUNGEST = timedelta(days=35)
CHUNKS_AT_ONCE = 50

_PARTLY = "SELECT EXISTS (SELECT FROM {table} WHERE array_position(event_ids, NULL) IS NOT NULL)"

# Runs have no index by chunk.
_RUNS = """
CREATE TEMPORARY TABLE metering_archived_runs ON COMMIT DROP AS
SELECT chunk_id, customer_id, first_seq - first_place AS before FROM metering_usagerun
WHERE chunk_id IN (SELECT id FROM {table});
CREATE INDEX ON metering_archived_runs (chunk_id, customer_id);
ANALYZE metering_archived_runs"""
_EVENTS = """
WITH chunk AS MATERIALIZED (SELECT * FROM {table} WHERE id > %s ORDER BY id LIMIT %s)
SELECT customer.key, origin.customer_id, run.before + event.place, chunk.id, event.place,
    event.origin, event.occurred_at, chunk.received_at, origin.kind, origin.source, event.event_id,
    origin.model, origin.mode, event.input_tokens, event.cached_input_tokens, event.output_tokens,
    event.reasoning_tokens, coalesce(event.gpu_seconds, 0), coalesce(event.busy_gpu_seconds, 0),
    origin.project, origin.labels::text, event.extra::text
FROM chunk
CROSS JOIN LATERAL unnest(
    chunk.origins, chunk.occurred_at, chunk.input_tokens, chunk.cached_input_tokens,
    chunk.output_tokens, chunk.reasoning_tokens, chunk.gpu_seconds, chunk.busy_gpu_seconds,
    chunk.event_ids, chunk.extras
) WITH ORDINALITY AS event (origin, occurred_at, input_tokens, cached_input_tokens, output_tokens,
    reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_id, extra, place)
JOIN LATERAL unnest(
    chunk.origin_customers, chunk.origin_kinds, chunk.origin_models, chunk.origin_modes,
    chunk.origin_sources, chunk.origin_projects, chunk.origin_labels
) WITH ORDINALITY AS origin (customer_id, kind, model, mode, source, project, labels, n)
    ON origin.n = event.origin
JOIN metering_archived_runs AS run
    ON run.chunk_id = chunk.id AND run.customer_id = origin.customer_id
JOIN billing_customer AS customer ON customer.id = origin.customer_id
ORDER BY chunk.id, event.place"""

# Of voids the target stays, of further meters the quantities; reasons and labels go.
_STRIPPED = """
INSERT INTO {new} (
    id, received_at, origin_customers, origin_kinds, origin_models, origin_modes, origin_sources,
    origin_projects, origin_labels, origins, occurred_at, input_tokens, cached_input_tokens,
    output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_ids, extras)
SELECT id, received_at, origin_customers, origin_kinds, origin_models, origin_modes,
    array_fill(%s::text, ARRAY[cardinality(origin_customers)]), origin_projects,
    array_fill(NULL::jsonb, ARRAY[cardinality(origin_customers)]), origins, occurred_at,
    input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, gpu_seconds,
    busy_gpu_seconds, NULL, (
        SELECT CASE WHEN count(kept.extra) > 0 THEN array_agg(kept.extra ORDER BY kept.place) END
        FROM (
            SELECT said.place, CASE
                WHEN said.extra ? 'quantities'
                    THEN jsonb_build_object('quantities', said.extra -> 'quantities')
                WHEN said.extra ? 'target'
                    THEN jsonb_build_object('target', said.extra -> 'target')
                END AS extra
            FROM unnest(chunk.extras) WITH ORDINALITY AS said (extra, place)
        ) AS kept)
FROM {table} AS chunk ORDER BY id"""
_LEFT = "SELECT coalesce(sum(cardinality(origins)), 0) FROM {new}"


def archive_month(*, month: datetime, directory: Path, now: datetime) -> UsageArchive | None:
    """Archive what arrived in the UTC month that starts at `month`; None if nothing is left to.

    One transaction: the file is written, read back and compared before the month is replaced, so
    that whatever breaks leaves the events as they were. Raises InvalidInput `not_a_month`,
    `too_young`; Conflict `archiving` while another runs, `archived_before` where events of it lie
    in an archive made by the time of events, `busy` where long reading is under way.
    """
    if (month.day, month.hour, month.minute, month.second, month.microsecond) != (1, 0, 0, 0, 0):
        raise InvalidInput("not_a_month", f"{month} is not the start of a month")
    end = (month + timedelta(days=32)).replace(day=1)
    if end > now - YOUNGEST:
        raise InvalidInput("too_young", f"a month is archived {YOUNGEST.days} days after its end")
    directory.mkdir(parents=True, exist_ok=True)
    number = number_of(month)
    draft = directory / f".usage-{month:%Y-%m}.draft"
    with transaction.atomic(durable=True):
        table = lock_partition(number)
        if table is None or UsageArchive.objects.filter(month=number, restored_at=None).exists():
            return None
        count, sums = archive_files.write(draft, _events(table))
        if not count:
            draft.unlink()
            return None
        if archive_files.counted(draft) != (count, sums):
            raise InvariantViolation("archive_differs", "the file does not hold what was written")
        digest = archive_files.sha256_of(draft)
        file = f"usage-{month:%Y-%m}-{digest[:12]}.parquet"
        archive = UsageArchive.objects.create(
            month=number, starts_at=month, ends_at=end, file=file, sha256=digest, row_count=count,
            sums={name: str(total) for name, total in sums.items()}, archived_at=now,
        )  # fmt: skip
        new = beside(table)
        with connection.cursor() as cursor:
            cursor.execute(_STRIPPED.format(table=table, new=new), [f"archive/{archive.pk}"])
            cursor.execute(_LEFT.format(new=new))
            if (left := cursor.fetchone()[0]) != count:
                raise InvariantViolation(
                    "archive_differs", f"{count} events were written, {left} are left"
                )
        replace_partition(number, table, new)
        draft.rename(directory / file)
        archive_files.sync(directory)
    return archive


def archive_problems(*, directory: Path) -> list[str]:
    """What is wrong with the files on record: missing, changed, or other than recorded."""
    problems = []
    for archive in UsageArchive.objects.order_by("id"):
        problem = problem_of(archive, directory)
        if problem:
            problems.append(f"archive {archive.pk}: {problem}")
    return problems


def problem_of(archive: UsageArchive, directory: Path) -> str:
    """What is wrong with the file of one archive; empty where nothing is."""
    path = directory / archive.file
    if not path.exists():
        return f"{archive.file} is not in {directory}"
    if archive_files.sha256_of(path) != archive.sha256:
        return f"{archive.file} has been changed"
    count, sums = archive_files.counted(path)
    found = {name: str(sums[name]) for name in archive.sums}
    if (count, found) != (archive.row_count, archive.sums):
        return f"{archive.file} holds other sums"
    return ""


def _events(table: str) -> Iterator[list[tuple[Any, ...]]]:
    """The events of a partition in the order of chunks and places, some chunks at a time."""
    after = 0
    with connection.cursor() as cursor:
        cursor.execute(_PARTLY.format(table=table))
        if cursor.fetchone()[0]:
            raise Conflict("archived_before", "names of the month lie in an archive by event time")
        cursor.execute(_RUNS.format(table=table))
        while True:
            cursor.execute(_EVENTS.format(table=table), [after, CHUNKS_AT_ONCE])
            rows = cursor.fetchall()
            if not rows:
                return
            yield rows
            after = rows[-1][3]


def month_of(text: str) -> datetime:
    """The start of a UTC month from `2026-01`. Raises InvalidInput `not_a_month`."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidInput("not_a_month", f"{text!r} is not a month like 2026-01") from error
