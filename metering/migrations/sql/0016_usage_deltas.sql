-- The rollups in two parts: what has been folded in, and what a transaction of ingest added since.
--
-- A thousand events of fifty customers touch three hundred hours, as many totals and fifty days: to
-- update those rows in each transaction cost more than storing the events. So a transaction of
-- ingest leaves one row here, which says everything that it added; folding takes all of them into
-- the rollups at once. Readers go by the views below, in which both parts lie side by side: to
-- them a fold changes nothing. Keys may come in both parts, and several times in this one.

SET LOCAL lock_timeout = '5s';

-- The n-th element of each of the first five columns makes up one quantity; `hours` are seconds
-- since 1970, `names` count from 1 into the last four columns.
CREATE TABLE metering_usagedelta (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customers bigint[] NOT NULL,
    periods bigint[] NOT NULL,
    hours bigint[] NOT NULL,
    names int[] NOT NULL,
    quantities bigint[] NOT NULL,
    models text[] NOT NULL,
    modes text[] NOT NULL,
    meters text[] NOT NULL,
    rates numeric[] NOT NULL,
    CONSTRAINT the_columns_of_a_usage_delta_are_of_one_length CHECK (
        cardinality(customers) > 0
        AND cardinality(periods) = cardinality(customers)
        AND cardinality(hours) = cardinality(customers)
        AND cardinality(names) = cardinality(customers)
        AND cardinality(quantities) = cardinality(customers)
        AND cardinality(modes) = cardinality(models)
        AND cardinality(meters) = cardinality(models)
        AND cardinality(rates) = cardinality(models)
    ),
    CONSTRAINT a_usage_delta_only_adds CHECK (0 < ALL (quantities))
);
-- A row lives for a second: compressing it is wasted, and the space of those gone is wanted soon.
ALTER TABLE metering_usagedelta
    ALTER customers SET STORAGE EXTERNAL, ALTER periods SET STORAGE EXTERNAL,
    ALTER hours SET STORAGE EXTERNAL, ALTER names SET STORAGE EXTERNAL,
    ALTER quantities SET STORAGE EXTERNAL,
    SET (
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 1000
    );

CREATE TRIGGER a_usage_delta_is_never_changed
    BEFORE UPDATE ON metering_usagedelta
    FOR EACH ROW EXECUTE FUNCTION billing_refuse('What usage added is never changed, only folded into the rollups.');
CREATE TRIGGER the_usage_deltas_are_never_emptied
    BEFORE TRUNCATE ON metering_usagedelta
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('What usage added is never emptied, only folded into the rollups.');

CREATE VIEW metering_pendingusage AS
SELECT given.customer_id, given.period_id, to_timestamp(given.hour) AS hour,
    delta.models[given.name] AS model, delta.modes[given.name] AS mode,
    delta.meters[given.name] AS meter, delta.rates[given.name]::numeric(30, 12) AS rate,
    given.quantity::numeric(30, 0) AS quantity
FROM metering_usagedelta AS delta
CROSS JOIN LATERAL unnest(
    delta.customers, delta.periods, delta.hours, delta.names, delta.quantities
) AS given (customer_id, period_id, hour, name, quantity);

CREATE VIEW metering_hourlyusage AS
SELECT customer_id, period_id, hour, model, mode, meter, rate, quantity FROM metering_usagehour
UNION ALL
SELECT customer_id, period_id, hour, model, mode, meter, rate, quantity FROM metering_pendingusage;

CREATE VIEW metering_dailyusage AS
SELECT customer_id, period_id, day, amount FROM metering_usageday
UNION ALL
SELECT customer_id, period_id, (hour AT TIME ZONE 'UTC')::date,
    (quantity * rate)::numeric(38, 12)
FROM metering_pendingusage;

CREATE VIEW metering_totalusage AS
SELECT customer_id, period_id, model, mode, meter, rate, quantity FROM metering_usagetotal
UNION ALL
SELECT customer_id, period_id, model, mode, meter, rate, quantity FROM metering_pendingusage;

-- Takes all deltas that have been committed into the rollups. Answers how many hours could not be
-- written, as metering_add_usage counts them: anything but 0 has to be taken back. The caller is
-- alone with the rollups (services/usage_deltas.py).
CREATE FUNCTION metering_fold_usage() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    kept record;
BEGIN
    WITH gone AS (
        DELETE FROM metering_usagedelta RETURNING *
    ), given AS (
        SELECT one.customer_id, one.period_id, one.hour, gone.models[one.name] AS model,
            gone.modes[one.name] AS mode, gone.meters[one.name] AS meter,
            gone.rates[one.name] AS rate, sum(one.quantity) AS quantity
        FROM gone, unnest(
            gone.customers, gone.periods, gone.hours, gone.names, gone.quantities
        ) AS one (customer_id, period_id, hour, name, quantity)
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), named AS (
        SELECT model, mode, meter, row_number() OVER () AS name
        FROM (SELECT DISTINCT model, mode, meter FROM given) AS once
    ), sorted AS (
        SELECT given.*, named.name FROM given JOIN named USING (model, mode, meter)
        ORDER BY customer_id, period_id, hour, name
    )
    SELECT array_agg(customer_id) AS customers, array_agg(period_id) AS periods,
        array_agg(hour) AS hours, array_agg(name::int) AS names, array_agg(rate) AS rates,
        array_agg(quantity) AS quantities,
        (SELECT array_agg(model ORDER BY name) FROM named) AS models,
        (SELECT array_agg(mode ORDER BY name) FROM named) AS modes,
        (SELECT array_agg(meter ORDER BY name) FROM named) AS meters
    FROM sorted INTO kept;
    IF kept.customers IS NULL THEN
        RETURN 0;
    END IF;
    RETURN cardinality(kept.customers) - metering_add_usage(
        kept.customers, kept.periods, kept.hours, kept.names, kept.rates, kept.quantities,
        kept.models, kept.modes, kept.meters);
END
$$;
