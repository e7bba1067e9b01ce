"""The proof of the events themselves: chunks, keys, runs, voids and archives hang together.

Each event of a chunk lies in one run, has one key and one sequence number; each void says what it
took back; each archive stands for as many events as it holds. `proof` goes on from there.
"""

from collections.abc import Iterable

from django.db import connection

SHOWN = 100  # problems of one kind; beyond that they are counted

_CHECKS = (
    (
        "customer {0} has {1} event keys and {2} events in runs, the last has sequence {3}, but"
        " the state says {4}",
        """
SELECT customer_id, coalesce(keys.count, 0), coalesce(runs.count, 0), coalesce(runs.last, 0),
    coalesce(state.ingest_seq, 0)
FROM (
    SELECT customer_id, ingest_seq FROM metering_usagestate
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
) AS state FULL JOIN (
    SELECT customer_id, count(*) FROM metering_eventkey
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s GROUP BY 1
) AS keys USING (customer_id) FULL JOIN (
    SELECT customer_id, sum(event_count) AS count, max(first_seq + event_count - 1) AS last
    FROM metering_usagerun
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s GROUP BY 1
) AS runs USING (customer_id)
WHERE (coalesce(keys.count, 0), coalesce(runs.count, 0), coalesce(runs.last, 0))
    <> (coalesce(state.ingest_seq, 0), coalesce(state.ingest_seq, 0),
        coalesce(state.ingest_seq, 0))""",
    ),
    (
        "the run of customer {0} from sequence {1} on should begin with {2}",
        """
SELECT customer_id, first_seq, due FROM (
    SELECT customer_id, first_seq,
        coalesce(lag(first_seq + event_count) OVER before, 1) AS due
    FROM metering_usagerun
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
    WINDOW before AS (PARTITION BY customer_id ORDER BY first_seq)
) AS runs WHERE first_seq <> due""",
    ),
    (
        "chunk {1}: the run of customer {0} says {2}, its events say {3}",
        """
SELECT customer_id, chunk_id, kept, found FROM (
    SELECT run.customer_id, run.chunk_id,
        format('places %%s to %%s, origins %%s to %%s, %%s to %%s, %%s', first_place,
            first_place + event_count - 1, first_origin, first_origin + origin_count - 1,
            first_at, last_at, has_hardware) AS kept
    FROM metering_usagerun AS run
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
) AS runs FULL JOIN (
    SELECT chunk.id AS chunk_id, origin.customer_id,
        format('places %%s to %%s, origins %%s to %%s, %%s to %%s, %%s%%s', min(event.place),
            max(event.place), min(origin.n), max(origin.n), min(event.occurred_at),
            max(event.occurred_at), bool_or(origin.kind = 2),
            CASE WHEN count(*) <> max(event.place) - min(event.place) + 1 THEN ', with gaps' END)
            AS found
    FROM metering_usagechunk AS chunk
    CROSS JOIN LATERAL unnest(chunk.origins, chunk.occurred_at)
        WITH ORDINALITY AS event (origin, occurred_at, place)
    LEFT JOIN LATERAL unnest(chunk.origin_customers, chunk.origin_kinds)
        WITH ORDINALITY AS origin (customer_id, kind, n) ON origin.n = event.origin
    WHERE %(customer)s::bigint IS NULL OR %(customer)s = ANY(chunk.origin_customers)
    GROUP BY 1, 2
    HAVING %(customer)s::bigint IS NULL OR origin.customer_id = %(customer)s
) AS events USING (chunk_id, customer_id)
WHERE kept IS DISTINCT FROM found""",
    ),
    (
        "customer {0}, chunk {1}: the keys name {2} events, {3} of them in its run of {4}",
        """
SELECT keys.customer_id, keys.chunk_id, keys.count, keys.inside, coalesce(run.event_count, 0)
FROM (
    SELECT key.customer_id, key.chunk_id, count(*) AS count,
        count(DISTINCT key.place) FILTER (WHERE key.place >= run.first_place
            AND key.place < run.first_place + run.event_count) AS inside
    FROM metering_eventkey AS key
    LEFT JOIN metering_usagerun AS run
        ON run.customer_id = key.customer_id AND run.chunk_id = key.chunk_id
    WHERE %(customer)s::bigint IS NULL OR key.customer_id = %(customer)s
    GROUP BY 1, 2
) AS keys LEFT JOIN metering_usagerun AS run USING (customer_id, chunk_id)
WHERE (keys.count, keys.inside) IS DISTINCT FROM (run.event_count, run.event_count)""",
    ),
    (
        "void {1} {2} of customer {0} voids something that is no event of usage",
        """
SELECT void.customer_id, void.source, void.event_id
FROM metering_usagevoid AS void LEFT JOIN metering_usagechunk AS chunk ON chunk.id = void.chunk_id
WHERE (%(customer)s::bigint IS NULL OR void.customer_id = %(customer)s)
    AND (coalesce(chunk.origin_kinds[chunk.origins[void.place]], 4) = 4
        OR chunk.origin_customers[chunk.origins[void.place]] <> void.customer_id)""",
    ),
    (
        "void {2} {3} (sequence {1}) of customer {0} is recorded {4} times under its name",
        """
SELECT customer_id, seq, min(event.source), min(event.event_id), count(void.id)
FROM (
    SELECT customer_id, seq, source, event_id, format('%%s/%%s', chunk_id, place) AS archived_as
    FROM metering_everyusageevent
    WHERE kind = 4 AND (%(customer)s::bigint IS NULL OR customer_id = %(customer)s)
) AS event FULL JOIN (
    SELECT * FROM metering_usagevoid
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
) AS void USING (customer_id, seq)
GROUP BY 1, 2
HAVING count(*) <> 1 OR count(void.id) <> 1 OR count(event.source) <> 1 OR NOT bool_and(
    (event.source, event.event_id) = (void.source, void.event_id)
    OR event.event_id = event.archived_as)""",
    ),
    (
        "archive {0} holds {1} events, the chunks know of {2}",
        """
SELECT coalesce('archive/' || archive.id, kept.source), coalesce(archive.row_count, 0),
    coalesce(kept.events, 0)
FROM (SELECT * FROM metering_usagearchive WHERE restored_at IS NULL) AS archive FULL JOIN (
    SELECT source, count(*) AS events FROM metering_everyusageevent
    WHERE event_id = format('%%s/%%s', chunk_id, place) GROUP BY source
) AS kept ON kept.source = 'archive/' || archive.id
WHERE %(customer)s::bigint IS NULL
    AND coalesce(archive.row_count, 0) <> coalesce(kept.events, 0)""",
    ),
)


def storage_problems(*, customer_id: int | None = None) -> list[str]:
    """What does not hang together, one sentence each. Changes nothing."""
    problems: list[str] = []
    with connection.cursor() as cursor:
        for sentence, statement in _CHECKS:
            cursor.execute(statement, {"customer": customer_id})
            problems += limited(sentence.format(*row) for row in cursor.fetchall())
    return problems


def limited(sentences: Iterable[str]) -> list[str]:
    """The first hundred, and how many more there are."""
    shown: list[str] = []
    more = 0
    for sentence in sentences:
        if len(shown) < SHOWN:
            shown.append(sentence)
        else:
            more += 1
    return [*shown, f"and {more} more of the kind"] if more else shown
