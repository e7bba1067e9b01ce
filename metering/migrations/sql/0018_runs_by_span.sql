-- Which runs may have events in a stretch of time, found without walking along all that came later.
--
-- Runs lie in indexes by their last time. One that begins before a stretch ends may itself end at
-- any time after it, so an index alone would have to be read up to the newest run. Most runs are
-- short, and how much later a short one can end is known: runs are kept apart by how long they are.
-- Both functions are inlined; what is asked through the second goes to the indexes.

SET LOCAL lock_timeout = '5s';

-- 0: up to a second from its first event to its last, 1: a minute, 2: an hour, 3: a day, 4: longer.
CREATE FUNCTION metering_run_span(first_at timestamptz, last_at timestamptz)
RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN last_at - first_at <= interval '1 second' THEN 0::smallint
        WHEN last_at - first_at <= interval '1 minute' THEN 1::smallint
        WHEN last_at - first_at <= interval '1 hour' THEN 2::smallint
        WHEN last_at - first_at <= interval '24 hours' THEN 3::smallint
        ELSE 4::smallint END
$$;

-- Whether a run of these times reaches into [starts_at, ends_at). That the last time of a short run
-- lies between two bounds stands in one place for each length: only so does the planner see how few
-- they are. What it found under every OR it would take out of them.
CREATE FUNCTION metering_run_reaches(
    first_at timestamptz, last_at timestamptz, starts_at timestamptz, ends_at timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT last_at >= starts_at AND first_at < ends_at AND (
        metering_run_span(first_at, last_at) = 0::smallint
            AND last_at >= starts_at AND last_at < ends_at + interval '1 second'
        OR metering_run_span(first_at, last_at) = 1::smallint
            AND last_at >= starts_at AND last_at < ends_at + interval '1 minute'
        OR metering_run_span(first_at, last_at) = 2::smallint
            AND last_at >= starts_at AND last_at < ends_at + interval '1 hour'
        OR metering_run_span(first_at, last_at) = 3::smallint
            AND last_at >= starts_at AND last_at < ends_at + interval '24 hours'
        OR metering_run_span(first_at, last_at) = 4::smallint)
$$;
