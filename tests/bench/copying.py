"""The limit: a binary COPY of the same events, a row each, into a logged heap without index,
fsync on.

A row says what an event says and what makes it unique, in 20 columns: as a table of events would.
"""

import time

from tests.bench.service import Service

ROWS = 150_000
EVENTS_AS_ROWS = """
SELECT customer_id, gen_random_uuid() AS event_key, seq, occurred_at, received_at,
    chunk_id AS fingerprint, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens,
    gpu_seconds, busy_gpu_seconds, kind, model, mode, source, event_id, project, extra,
    NULL::uuid AS target_key
FROM metering_everyusageevent"""


def copy_rate(service: Service, tag: str) -> float:
    """Rows a second. The rows are the stored events whose ids begin with `tag`."""
    with service.connect() as connection, connection.cursor() as cursor:
        chosen = f"{EVENTS_AS_ROWS} WHERE event_id LIKE '{tag}-%' LIMIT {ROWS}"
        with cursor.copy(f"COPY ({chosen}) TO STDOUT (FORMAT binary)") as out:
            rows = b"".join(out)
        cursor.execute("DROP TABLE IF EXISTS bare_heap")
        cursor.execute(f"CREATE TABLE bare_heap AS {EVENTS_AS_ROWS} WITH NO DATA")
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
