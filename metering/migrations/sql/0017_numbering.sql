-- Everything that a transaction of ingest does under the locks, in one call: services/numbering.py.
--
-- What others wait for must not depend on how busy the process is that holds the locks, so nothing
-- of it is left to that process. The n-th element of each array is about the n-th customer, sorted;
-- `firsts` and `lasts` are microseconds since 2000. Answers each customer's last sequence number;
-- NULL, and nothing is written, if somebody's terms or the price book are not of those versions.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION metering_number_events(
    patience text, book bigint, chunk bigint, customers bigint[], terms bigint[],
    firsts bigint[], lasts bigint[], first_places smallint[], counts smallint[],
    first_origins smallint[], origin_counts smallint[], hardware boolean[]
) RETURNS bigint[] LANGUAGE plpgsql
-- The plan is kept while the tables grow: let it be the one for large tables from the start.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    reached bigint[];
BEGIN
    PERFORM set_config('lock_timeout', patience, true);
    PERFORM pg_advisory_xact_lock_shared(1835365490, 1);  -- the price book, which comes first
    PERFORM 1 FROM metering_usagestate WHERE customer_id = ANY (customers)
        ORDER BY customer_id FOR NO KEY UPDATE;
    IF book <> (SELECT coalesce(max(version), 0) FROM metering_pricebookversion) THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(state.ingest_seq + given.count ORDER BY given.place) INTO reached
    FROM unnest(customers, terms, counts) WITH ORDINALITY
            AS given (customer_id, version, count, place)
        JOIN metering_usagestate AS state
            ON state.customer_id = given.customer_id AND state.terms_version = given.version;
    IF coalesce(cardinality(reached), 0) < cardinality(customers) THEN
        RETURN NULL;
    END IF;
    INSERT INTO metering_usagerun (customer_id, first_seq, chunk_id, first_at, last_at,
        first_place, event_count, first_origin, origin_count, has_hardware)
    SELECT customer_id, seq - count + 1, chunk,
        timestamptz '2000-01-01 00:00Z' + first_us * interval '1 microsecond',
        timestamptz '2000-01-01 00:00Z' + last_us * interval '1 microsecond',
        first_place, count, first_origin, origin_count, has_hardware
    FROM unnest(customers, reached, firsts, lasts, first_places, counts, first_origins,
            origin_counts, hardware)
        AS given (customer_id, seq, first_us, last_us, first_place, count, first_origin,
            origin_count, has_hardware);
    UPDATE metering_usagestate AS state SET ingest_seq = given.seq
    FROM unnest(customers, reached) AS given (customer_id, seq)
    WHERE state.customer_id = given.customer_id;
    RETURN reached;
END
$$;
