"""Moves the events that are there into chunks, and makes the views through which they are read.

Chunks of up to a thousand events of one customer, in the order of their sequence numbers. There is
no way back: the old table is dropped once every event of it stands in a chunk. A database of
millions of events takes some minutes, during which no usage comes in.
"""

import json
from collections.abc import Iterator
from datetime import UTC
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from django.db import migrations, models

from metering.domain import chunks, reading
from metering.domain.columns import Columns, Origin, instant_of, microseconds, month_of

SQL = Path(__file__).parent / "sql"
EVENTS_A_CHUNK = 1_000
_EVENTS = """
SELECT customer_id, event_key, seq, occurred_at, received_at, input_tokens, cached_input_tokens,
    output_tokens, reasoning_tokens, gpu_seconds, busy_gpu_seconds, kind, model, mode, source,
    nullif(event_id, ''), project, extra, target_key
FROM metering_eventbefore ORDER BY customer_id, seq"""
_VOIDS = """
INSERT INTO metering_usagevoid (customer_id, chunk_id, place, seq, source, event_id)
SELECT void.customer_id, target.chunk_id, target.place, void.seq, void.source, void.event_id
FROM metering_eventbefore AS void JOIN metering_eventkey AS target
    ON target.customer_id = void.customer_id AND target.event_key = void.target_key
ORDER BY void.customer_id, void.seq"""
_UNRATED = """
UPDATE metering_unratedusage AS waits
SET chunk_id = key.chunk_id, place = key.place, source = event.source, event_name = event.event_id
FROM metering_eventkey AS key JOIN metering_eventbefore AS event USING (customer_id, event_key)
WHERE key.customer_id = waits.customer_id AND key.event_key = waits.event_key"""
_SEQUENCE = "SELECT nextval('metering_chunk_number')"
_LEFT = """
SELECT (SELECT count(*) FROM metering_eventbefore) - (SELECT count(*) FROM metering_eventkey),
    (SELECT count(*) FROM metering_eventbefore) - (SELECT coalesce(sum(event_count), 0)
        FROM metering_usagerun),
    (SELECT count(*) FROM metering_unratedusage WHERE chunk_id IS NULL)"""


def _requests(connection: Any) -> Iterator[list[tuple[Any, ...]]]:
    """The events of one customer that were received at one instant, some at a time."""
    # Read as they come, however many there are.
    with connection.chunked_cursor() as cursor:
        cursor.execute(_EVENTS)
        rows = chain.from_iterable(iter(lambda: cursor.fetchmany(EVENTS_A_CHUNK), []))
        for _, received in groupby(rows, key=lambda row: (row[0], row[4])):
            while some := list(islice(received, EVENTS_A_CHUNK)):
                yield some


def _columns(rows: list[tuple[Any, ...]]) -> Columns:
    numbers: dict[Origin, int] = {}
    origins, figures, ids, keys, prints = [], [], [], [], []
    extras: dict[int, dict[str, Any]] = {}
    targets: dict[int, bytes] = {}
    for place, row in enumerate(rows):
        (
            customer_id,
            key,
            _,
            at,
            _,
            *counted,
            kind,
            model,
            mode,
            source,
            name,
            project,
            said,
            target,
        ) = row
        labels = json.loads(said) if said else {}
        origin = Origin(
            customer_id, kind, model, mode, source, project, labels.pop("endpoint", None),
            labels.pop("region", None), labels.pop("async", None),
        )  # fmt: skip
        origins.append(numbers.setdefault(origin, len(numbers)))
        figures.append([microseconds(at), *counted])
        ids.append(name)
        keys.append(key.bytes)
        # Of an archived event the content is no longer known.
        prints.append(reading.fingerprint(origin, figures[-1], labels or None) if name else 0)
        if labels:
            extras[place] = labels
        if target is not None:
            targets[place] = target.bytes
    return Columns(
        list(numbers),
        np.array(origins),
        np.array(figures),
        ids,
        np.frombuffer(b"".join(keys), dtype=">u8").reshape(-1, 2),
        np.array(prints, dtype=np.uint32),
        np.arange(len(rows)),
        extras,
        targets,
    )


def move(_apps: Any, schema_editor: Any) -> None:
    """Put every event into a chunk, and its key beside it."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        for rows in _requests(connection):
            columns, received_at = _columns(rows), rows[0][4]
            month = month_of(received_at.astimezone(UTC))
            cursor.execute("SELECT metering_add_month(%s)", [month])
            cursor.execute(_SEQUENCE)
            chunk_id = (month << chunks.MONTH_SHIFT) + cursor.fetchone()[0]
            for table, names, packed in (
                ("metering_eventkey", chunks.KEY_COLUMNS, chunks.key_rows(columns, chunk_id)),
                (
                    "metering_usagechunk",
                    chunks.CHUNK_COLUMNS,
                    chunks.chunk_row(columns, chunk_id, microseconds(received_at)),
                ),
            ):
                with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(chunks.copied(packed))
            [run] = columns.runs()
            cursor.execute(
                "INSERT INTO metering_usagerun (customer_id, first_seq, chunk_id, first_at,"
                " last_at, first_place, event_count, first_origin, origin_count, has_hardware)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    run.customer_id, rows[0][2], chunk_id, instant_of(run.first_us),
                    instant_of(run.last_us), run.first_place, run.event_count,
                    run.first_origin, run.origin_count, run.has_hardware,
                ],
            )  # fmt: skip
        cursor.execute(_VOIDS)
        cursor.execute(_UNRATED)
        cursor.execute(_LEFT)
        if any(cursor.fetchone()):
            raise RuntimeError("not every event was moved; nothing has changed")
        cursor.execute("DROP TABLE metering_eventbefore")
        cursor.execute("DROP FUNCTION metering_guard_event")


class Migration(migrations.Migration):
    dependencies = [("metering", "0013_chunks")]

    operations = [
        migrations.AddField(
            "unratedusage", "chunk_id", models.BigIntegerField(null=True), preserve_default=False
        ),
        migrations.AddField(
            "unratedusage", "place", models.SmallIntegerField(null=True), preserve_default=False
        ),
        migrations.AddField(
            "unratedusage", "source", models.TextField(default=""), preserve_default=False
        ),
        migrations.AddField(
            "unratedusage",
            "event_name",
            models.TextField(default="", help_text="the id of the event, as reported"),
            preserve_default=False,
        ),
        migrations.RunPython(move),
        migrations.RemoveConstraint("unratedusage", "one_unrated_row_per_event_and_meter"),
        migrations.RemoveField("unratedusage", "event_key"),
        migrations.AlterField("unratedusage", "chunk_id", models.BigIntegerField()),
        migrations.AlterField("unratedusage", "place", models.SmallIntegerField()),
        migrations.AddConstraint(
            "unratedusage",
            models.UniqueConstraint(
                name="one_unrated_row_per_event_and_meter", fields=["chunk_id", "place", "meter"]
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL((SQL / "0014_events_as_rows.sql").read_text(encoding="utf-8"))
            ],
            state_operations=[
                migrations.CreateModel(
                    "UsageEvent",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "chunk_id",
                                "place",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("chunk_id", models.BigIntegerField()),
                        ("place", models.IntegerField()),
                    ],
                    options={"db_table": "metering_usageevent", "managed": False},
                )
            ],
        ),
    ]
