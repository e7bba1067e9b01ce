-- The three rollups in one call: services/rollups.py says what it means. A function, because its
-- statements are planned once a session and not once a request.
--
-- The n-th element of each of the first six arrays makes up one quantity; keys (customer, period,
-- hour, name) are distinct and sorted. `names` counts from 1 into the last three arrays, `hours`
-- are seconds since 1970. Quantities may be negative. Answers how many hours were written: fewer
-- than asked if one stands at another rate, or if something is taken off that was never counted.
--
-- An update first, because nearly every row is there already, and an upsert would form and check
-- the row that it proposes before it looks. The caller holds the customers' usage locks.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION metering_add_usage(
    customers bigint[], periods bigint[], hours bigint[], names int[], rates numeric[],
    quantities numeric[], models text[], modes text[], meters text[]
) RETURNS integer LANGUAGE plpgsql
-- The plan is kept while the tables grow: let it be the one for large tables from the start.
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    written integer;
    more integer;
    asked integer;
BEGIN
    UPDATE metering_usagehour AS kept SET quantity = kept.quantity + given.quantity,
        rate = given.rate
    FROM unnest(customers, periods, hours, names, rates, quantities)
        AS given (customer_id, period_id, hour, name, rate, quantity)
    WHERE kept.customer_id = given.customer_id AND kept.period_id = given.period_id
        AND kept.hour = to_timestamp(given.hour) AND kept.model = models[given.name]
        AND kept.mode = modes[given.name] AND kept.meter = meters[given.name]
        AND (kept.rate = given.rate OR (kept.quantity = 0 AND given.quantity > 0));
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written < cardinality(customers) THEN
        INSERT INTO metering_usagehour
            (customer_id, period_id, hour, model, mode, meter, rate, quantity)
        SELECT customer_id, period_id, to_timestamp(hour), models[name], modes[name],
            meters[name], rate, quantity
        FROM unnest(customers, periods, hours, names, rates, quantities)
            AS given (customer_id, period_id, hour, name, rate, quantity)
        WHERE quantity > 0
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS more = ROW_COUNT;
        written := written + more;
    END IF;

    WITH given AS (
        SELECT customer_id, period_id, (to_timestamp(hour) AT TIME ZONE 'UTC')::date AS day,
            sum(quantity * rate) AS amount
        FROM unnest(customers, periods, hours, rates, quantities)
            AS given (customer_id, period_id, hour, rate, quantity)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ), updated AS (
        UPDATE metering_usageday AS kept SET amount = kept.amount + given.amount FROM given
        WHERE kept.customer_id = given.customer_id AND kept.period_id = given.period_id
            AND kept.day = given.day
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM given), (SELECT count(*) FROM updated) INTO asked, more;
    IF more < asked THEN
        INSERT INTO metering_usageday AS kept (customer_id, period_id, day, amount)
        SELECT customer_id, period_id, (to_timestamp(hour) AT TIME ZONE 'UTC')::date,
            sum(quantity * rate)
        FROM unnest(customers, periods, hours, rates, quantities)
            AS given (customer_id, period_id, hour, rate, quantity)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING;
    END IF;

    WITH given AS (
        SELECT customer_id, period_id, name, rate, sum(quantity) AS quantity
        FROM unnest(customers, periods, names, rates, quantities)
            AS given (customer_id, period_id, name, rate, quantity)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ), updated AS (
        UPDATE metering_usagetotal AS kept SET quantity = kept.quantity + given.quantity
        FROM given
        WHERE kept.customer_id = given.customer_id AND kept.period_id = given.period_id
            AND kept.model = models[given.name] AND kept.mode = modes[given.name]
            AND kept.meter = meters[given.name] AND kept.rate = given.rate
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM given), (SELECT count(*) FROM updated) INTO asked, more;
    IF more < asked THEN
        INSERT INTO metering_usagetotal
            (customer_id, period_id, model, mode, meter, rate, quantity)
        SELECT customer_id, period_id, models[name], modes[name], meters[name], rate,
            sum(quantity)
        FROM unnest(customers, periods, names, rates, quantities)
            AS given (customer_id, period_id, name, rate, quantity)
        GROUP BY customer_id, period_id, name, rate HAVING sum(quantity) > 0
        ORDER BY customer_id, period_id, name, rate
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN written;
END
$$;
