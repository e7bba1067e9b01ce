"""The limit: a binary COPY of the same rows into a logged heap without index, fsync on."""

import time

from tests.bench.service import Service

ROWS = 150_000
_OUT = (
    "COPY (SELECT * FROM metering_usageevent WHERE event_id LIKE '{tag}-%' LIMIT {rows})"
    " TO STDOUT (FORMAT binary)"
)


def copy_rate(service: Service, tag: str) -> float:
    """Rows a second. The rows are the stored events whose ids begin with `tag`."""
    with service.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(_OUT.format(tag=tag, rows=ROWS)) as out:
            rows = b"".join(out)
        cursor.execute("DROP TABLE IF EXISTS bare_heap")
        cursor.execute("CREATE TABLE bare_heap AS TABLE metering_usageevent WITH NO DATA")
        begun = time.perf_counter()
        with cursor.copy("COPY bare_heap FROM STDIN (FORMAT binary)") as into:
            into.write(rows)
        seconds = time.perf_counter() - begun
        counted = cursor.execute("SELECT count(*) FROM bare_heap").fetchone()
        return (counted[0] if counted else 0) / seconds


def bytes_per_row(service: Service) -> float:
    """Bytes a row of the heap that `copy_rate` left behind."""
    with service.connect() as connection:
        found = connection.execute(
            "SELECT pg_relation_size('bare_heap') / count(*)::float FROM bare_heap"
        ).fetchone()
        return float(found[0]) if found else 0.0
