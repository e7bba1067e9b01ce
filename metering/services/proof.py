"""The proof: rollups and unrated usage re-derived from the events, and compared.

Nothing here trusts a rollup, a cache or the code that writes them: quantities are counted again in
SQL from the events, rates are derived again from the price book and the terms. That the events
themselves hang together is asked in `storage_proof`. For `check_ledger`.
Run it within one database transaction of isolation level repeatable read to check a moving service.
"""

from collections.abc import Iterator
from typing import Any

from django.db import connection

from metering.models import HourlyUsage, UnratedUsage
from metering.services.rating import CustomerRates, hour_of, uncached_rates
from metering.services.storage_proof import limited, storage_problems

# Everything that every event still counts for, with the period of its time (or none), and the
# resolution of its row among the unrated, '' while it waits (or none).
_LIVE = """
WITH live AS MATERIALIZED (
    SELECT event.customer_id, event.chunk_id, event.place, period.id AS period_id,
        event.occurred_at, date_trunc('hour', event.occurred_at, 'UTC') AS hour, event.model,
        event.mode, reported.meter, reported.quantity, known.resolution, known.quantity AS waiting
    FROM metering_everyusageevent AS event
    CROSS JOIN LATERAL (
        SELECT * FROM (VALUES
            ('input_tokens', event.input_tokens),
            ('cached_input_tokens', event.cached_input_tokens),
            ('output_tokens', event.output_tokens), ('gpu_seconds', event.gpu_seconds)
        ) AS built_in (meter, quantity)
        UNION ALL
        SELECT key, value::bigint FROM jsonb_each_text(event.extra -> 'quantities')
    ) AS reported
    LEFT JOIN metering_usageperiod AS period ON period.customer_id = event.customer_id
        AND event.occurred_at >= period.starts_at AND event.occurred_at < period.ends_at
    LEFT JOIN metering_unratedusage AS known ON known.chunk_id = event.chunk_id
        AND known.place = event.place AND known.meter = reported.meter
    WHERE event.kind <> 4 AND reported.quantity > 0
        AND (%(customer)s::bigint IS NULL OR event.customer_id = %(customer)s)
        AND NOT EXISTS (
            SELECT 1 FROM metering_usagevoid AS void
            WHERE void.chunk_id = event.chunk_id AND void.place = event.place)
)"""

_CHECKS = (
    (
        "an hour of customer {0}, period {1}, {2} {3} {4} {5} holds {7}; its events make {6}",
        """, counted AS (
    SELECT customer_id, period_id, hour, model, mode, meter, sum(quantity) AS quantity FROM live
    WHERE period_id IS NOT NULL AND coalesce(resolution, 'rated') = 'rated'
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT customer_id, period_id, hour, model, mode, meter, coalesce(counted.quantity, 0)::numeric,
    coalesce(kept.quantity, 0)
FROM counted FULL JOIN (
    SELECT customer_id, period_id, hour, model, mode, meter, sum(quantity) AS quantity
    FROM metering_hourlyusage WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
    GROUP BY 1, 2, 3, 4, 5, 6
) AS kept USING (customer_id, period_id, hour, model, mode, meter)
WHERE coalesce(counted.quantity, 0) <> coalesce(kept.quantity, 0)""",
    ),
    (
        "event {1}/{2} of customer {0}: {3} is neither rated nor waiting",
        """
SELECT customer_id, chunk_id, place, meter FROM live
WHERE period_id IS NULL AND coalesce(resolution, 'rated') = 'rated'""",
    ),
    (
        "event {1}/{2} of customer {0}: {3} waits with {4}, but was reported with {5}",
        """
SELECT customer_id, chunk_id, place, meter, waiting, quantity FROM live
WHERE waiting IS NOT NULL AND waiting <> quantity""",
    ),
    (
        "event {1} {2} of customer {0}: {3} waits, but the event has been voided or never came",
        """
SELECT waits.customer_id, waits.source, waits.event_name, waits.meter
FROM metering_unratedusage AS waits LEFT JOIN live USING (customer_id, chunk_id, place, meter)
WHERE waits.resolved_at IS NULL AND live.chunk_id IS NULL
    AND (%(customer)s::bigint IS NULL OR waits.customer_id = %(customer)s)""",
    ),
    (
        "day {2} of customer {0}, period {1} holds {4} dollars; its hours make {3}",
        """, counted AS (
    SELECT customer_id, period_id, (hour AT TIME ZONE 'UTC')::date AS day,
        sum(quantity * rate) AS amount
    FROM metering_hourlyusage WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
    GROUP BY 1, 2, 3
)
SELECT customer_id, period_id, day, coalesce(counted.amount, 0), coalesce(kept.amount, 0)
FROM counted FULL JOIN (
    SELECT customer_id, period_id, day, sum(amount) AS amount FROM metering_dailyusage
    WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s GROUP BY 1, 2, 3
) AS kept USING (customer_id, period_id, day)
WHERE coalesce(counted.amount, 0) <> coalesce(kept.amount, 0)""",
    ),
    (
        "the total of customer {0}, period {1}, {2} {3} {4} at {5} is {7}; its hours make {6}",
        """, counted AS (
    SELECT customer_id, period_id, model, mode, meter, rate, sum(quantity) AS quantity
    FROM metering_hourlyusage WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT customer_id, period_id, model, mode, meter, rate, coalesce(counted.quantity, 0),
    coalesce(kept.quantity, 0)
FROM counted FULL JOIN (
    SELECT customer_id, period_id, model, mode, meter, rate, sum(quantity) AS quantity
    FROM metering_totalusage WHERE %(customer)s::bigint IS NULL OR customer_id = %(customer)s
    GROUP BY 1, 2, 3, 4, 5, 6
) AS kept USING (customer_id, period_id, model, mode, meter, rate)
WHERE coalesce(counted.quantity, 0) <> coalesce(kept.quantity, 0)""",
    ),
)


def rederive_rollups(*, customer_id: int | None = None) -> list[str]:
    """All differences, one sentence each; empty when everything adds up. Changes nothing."""
    problems: list[str] = []
    with connection.cursor() as cursor:
        for sentence, statement in _CHECKS:
            cursor.execute(_LIVE + statement, {"customer": customer_id})
            problems += limited(sentence.format(*row) for row in cursor.fetchall())
    problems += storage_problems(customer_id=customer_id)
    problems += limited(_wrong_rates(customer_id))
    problems += limited(_rateable(customer_id))
    return problems


def _wrong_rates(customer_id: int | None) -> Iterator[str]:
    """Rated hours whose rate is not what the price book and the terms make of it."""
    hours = HourlyUsage.objects.filter(quantity__gt=0).order_by("customer_id", "period_id", "hour")
    rows = _of_customer(hours, customer_id).values_list(
        "customer_id", "period_id", "hour", "model", "mode", "meter", "rate"
    )
    for rates, (_, period_id, hour, model, mode, meter, rate) in _with_rates(rows):
        period = next((one for one in rates.periods if one.id == period_id), None)
        derived = rates.rate(period, hour, model, mode, meter) if period else None
        if derived != rate:
            yield f"period {period_id}, {hour} {model} {mode} {meter}: rated {rate}, not {derived}"


def _rateable(customer_id: int | None) -> Iterator[str]:
    """Usage that waits although it has a rate, or names the wrong period."""
    waiting = UnratedUsage.objects.filter(resolved_at=None).order_by("customer_id", "occurred_at")
    rows = _of_customer(waiting, customer_id).values_list(
        "customer_id", "period_id", "occurred_at", "model", "mode", "meter", "event_name"
    )
    for rates, (_, period_id, at, model, mode, meter, event) in _with_rates(rows):
        period = rates.period_at(at)
        if (period.id if period else None) != period_id:
            yield f"event {event}: {meter} waits in period {period_id}, which is not its own"
        elif period and rates.rate(period, hour_of(at), model, mode, meter) is not None:
            yield f"event {event}: {meter} of {model} waits, but it has a rate"


def _of_customer(rows: Any, customer_id: int | None) -> Any:
    return rows if customer_id is None else rows.filter(customer_id=customer_id)


def _with_rates(rows: Any) -> Iterator[tuple[CustomerRates, Any]]:
    """Rows, customer by customer, each with freshly derived rates of its customer."""
    current: tuple[int, CustomerRates] | None = None
    for row in rows.iterator(chunk_size=5000):
        if current is None or current[0] != row[0]:
            current = (row[0], uncached_rates(customer_id=row[0]))
        yield current[1], row
