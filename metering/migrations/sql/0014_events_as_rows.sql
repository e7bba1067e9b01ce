-- The events of all chunks as rows, as they are read. Two views of the same rows:
--
-- metering_usageevent begins at the runs of a customer and takes a stretch out of each chunk: for
-- questions about one customer. metering_everyusageevent opens each chunk once: for questions about
-- all of them. Of an archived event the id stands in its archive, under its chunk and place, which
-- are its name here. What events have in common is taken by its number: joined, it would be a loop
-- over all origins for each event, because the planner cannot know how many there are.

SET LOCAL lock_timeout = '5s';

CREATE VIEW metering_usageevent AS
SELECT run.customer_id, run.chunk_id, (run.first_place + event.n - 1)::int AS place,
    run.first_seq + event.n - 1 AS seq, event.occurred_at, chunk.received_at, event.input_tokens,
    event.cached_input_tokens, event.output_tokens, event.reasoning_tokens,
    coalesce(event.gpu_seconds, 0) AS gpu_seconds,
    coalesce(event.busy_gpu_seconds, 0) AS busy_gpu_seconds,
    chunk.origin_kinds[event.origin] AS kind, chunk.origin_models[event.origin] AS model,
    chunk.origin_modes[event.origin] AS mode, chunk.origin_sources[event.origin] AS source,
    coalesce(event.event_id, format('%s/%s', run.chunk_id, run.first_place + event.n - 1))
        AS event_id,
    chunk.origin_projects[event.origin] AS project,
    CASE WHEN event.extra IS NULL THEN chunk.origin_labels[event.origin]
        ELSE coalesce(chunk.origin_labels[event.origin], '{}') || event.extra END AS extra,
    run.has_hardware, run.first_at AS run_first_at, run.last_at AS run_last_at
FROM metering_usagerun AS run
JOIN metering_usagechunk AS chunk ON chunk.id = run.chunk_id
CROSS JOIN LATERAL (
    SELECT run.first_place + run.event_count - 1 AS place
) AS last
CROSS JOIN LATERAL unnest(
    chunk.origins[run.first_place : last.place], chunk.occurred_at[run.first_place : last.place],
    chunk.input_tokens[run.first_place : last.place],
    chunk.cached_input_tokens[run.first_place : last.place],
    chunk.output_tokens[run.first_place : last.place],
    chunk.reasoning_tokens[run.first_place : last.place],
    chunk.gpu_seconds[run.first_place : last.place],
    chunk.busy_gpu_seconds[run.first_place : last.place],
    chunk.event_ids[run.first_place : last.place], chunk.extras[run.first_place : last.place]
) WITH ORDINALITY AS event (origin, occurred_at, input_tokens, cached_input_tokens, output_tokens,
    reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_id, extra, n);

CREATE VIEW metering_everyusageevent AS
SELECT chunk.origin_customers[event.origin] AS customer_id, chunk.id AS chunk_id,
    event.place::int AS place, run.first_seq + event.place - run.first_place AS seq,
    event.occurred_at, chunk.received_at, event.input_tokens, event.cached_input_tokens,
    event.output_tokens, event.reasoning_tokens, coalesce(event.gpu_seconds, 0) AS gpu_seconds,
    coalesce(event.busy_gpu_seconds, 0) AS busy_gpu_seconds,
    chunk.origin_kinds[event.origin] AS kind, chunk.origin_models[event.origin] AS model,
    chunk.origin_modes[event.origin] AS mode, chunk.origin_sources[event.origin] AS source,
    coalesce(event.event_id, format('%s/%s', chunk.id, event.place)) AS event_id,
    chunk.origin_projects[event.origin] AS project,
    CASE WHEN event.extra IS NULL THEN chunk.origin_labels[event.origin]
        ELSE coalesce(chunk.origin_labels[event.origin], '{}') || event.extra END AS extra
FROM metering_usagechunk AS chunk
CROSS JOIN LATERAL unnest(
    chunk.origins, chunk.occurred_at, chunk.input_tokens, chunk.cached_input_tokens,
    chunk.output_tokens, chunk.reasoning_tokens, chunk.gpu_seconds, chunk.busy_gpu_seconds,
    chunk.event_ids, chunk.extras
) WITH ORDINALITY AS event (origin, occurred_at, input_tokens, cached_input_tokens, output_tokens,
    reasoning_tokens, gpu_seconds, busy_gpu_seconds, event_id, extra, place)
JOIN metering_usagerun AS run
    ON run.chunk_id = chunk.id AND run.customer_id = chunk.origin_customers[event.origin];
