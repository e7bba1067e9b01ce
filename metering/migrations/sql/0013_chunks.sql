-- Events in chunks: models/usage.py says what a chunk, a key, a run and a void are.
--
-- A row that holds a thousand events costs one tuple header, one entry in an index and one
-- compression for all of them; what must be found by itself, an event's key, has a narrow row of
-- its own. Partitions are months of arrival (the upper bits of a chunk's id), so a whole month can
-- be detached while its keys stay.

SET LOCAL lock_timeout = '5s';

CREATE SEQUENCE metering_chunk_number;

CREATE TABLE metering_usagechunk (
    id bigint PRIMARY KEY,
    received_at timestamptz NOT NULL,
    origin_customers bigint[] NOT NULL,
    origin_kinds smallint[] NOT NULL,
    origin_models text[] NOT NULL,
    origin_modes text[] NOT NULL,
    origin_sources text[] NOT NULL,
    origin_projects text[] NOT NULL,
    origin_labels jsonb[] NOT NULL,
    origins smallint[] NOT NULL,
    occurred_at timestamptz[] NOT NULL,
    input_tokens bigint[] NOT NULL,
    cached_input_tokens bigint[] NOT NULL,
    output_tokens bigint[] NOT NULL,
    reasoning_tokens bigint[] NOT NULL,
    gpu_seconds bigint[],
    busy_gpu_seconds bigint[],
    event_ids text[],
    extras jsonb[],
    CONSTRAINT the_columns_of_a_chunk_are_of_one_length CHECK (
        cardinality(origins) > 0
        AND cardinality(occurred_at) = cardinality(origins)
        AND cardinality(input_tokens) = cardinality(origins)
        AND cardinality(cached_input_tokens) = cardinality(origins)
        AND cardinality(output_tokens) = cardinality(origins)
        AND cardinality(reasoning_tokens) = cardinality(origins)
        AND coalesce(cardinality(gpu_seconds), cardinality(origins)) = cardinality(origins)
        AND coalesce(cardinality(busy_gpu_seconds), cardinality(origins)) = cardinality(origins)
        AND coalesce(cardinality(event_ids), cardinality(origins)) = cardinality(origins)
        AND coalesce(cardinality(extras), cardinality(origins)) = cardinality(origins)
    ),
    CONSTRAINT the_origins_of_a_chunk_are_of_one_length CHECK (
        cardinality(origin_kinds) = cardinality(origin_customers)
        AND cardinality(origin_models) = cardinality(origin_customers)
        AND cardinality(origin_modes) = cardinality(origin_customers)
        AND cardinality(origin_sources) = cardinality(origin_customers)
        AND cardinality(origin_projects) = cardinality(origin_customers)
        AND cardinality(origin_labels) = cardinality(origin_customers)
    )
) PARTITION BY RANGE (id);

CREATE TRIGGER a_usage_chunk_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagechunk
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A usage event is never changed: void it with a new one.');
CREATE TRIGGER the_usage_chunks_are_never_emptied
    BEFORE TRUNCATE ON metering_usagechunk
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The usage events are never emptied.');
CREATE TRIGGER an_event_key_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_eventkey
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('An event key is never changed: it keeps its event from being counted twice.');
CREATE TRIGGER the_event_keys_are_never_emptied
    BEFORE TRUNCATE ON metering_eventkey
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The event keys are never emptied.');
CREATE TRIGGER a_usage_run_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagerun
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A run of usage events is never changed.');
CREATE TRIGGER the_usage_runs_are_never_emptied
    BEFORE TRUNCATE ON metering_usagerun
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The runs of usage events are never emptied.');
CREATE TRIGGER a_void_is_never_changed
    BEFORE UPDATE OR DELETE ON metering_usagevoid
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('A void is never changed.');
CREATE TRIGGER the_voids_are_never_emptied
    BEFORE TRUNCATE ON metering_usagevoid
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The voids are never emptied.');

-- The partition of a month: `month` counts from January 2000. Made when the first chunk of it
-- comes; attaching an empty table waits for nobody who reads or writes.
CREATE FUNCTION metering_add_month(month integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := metering_month_table(month);
BEGIN
    PERFORM pg_advisory_xact_lock(1835365490, 3);
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        EXECUTE format('CREATE TABLE %I (LIKE metering_usagechunk INCLUDING ALL)', name);
    EXCEPTION WHEN duplicate_table THEN
        RETURN;  -- Made by whom we waited for; this session had not heard of it.
    END;
    EXECUTE format('CREATE TRIGGER the_usage_chunks_are_never_emptied BEFORE TRUNCATE ON %I'
        ' FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse(''The usage events are never emptied.'')',
        name);
    EXECUTE format('ALTER TABLE metering_usagechunk ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
        name, month::bigint << 40, (month + 1)::bigint << 40);
END $$;

CREATE FUNCTION metering_month_table(month integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format('metering_usagechunk_%s_%s', 2000 + month / 12, lpad((month % 12 + 1)::text, 2, '0'))
$$;
