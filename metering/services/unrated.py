"""Usage that waits to be rated: rated as soon as it can be, taken back when it no longer can.

Owns every change of UnratedUsage but its birth (ingest). All functions are called within a database
transaction that holds the usage locks of the customers concerned (and so the price book), take
`now`, and leave the rollups in step.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from metering.domain.rated import RatedQuantity
from metering.models import UnratedReason, UsageState
from metering.services.rating import customer_rates, hour_of
from metering.services.rollups import add_usage
from metering.services.usage_deltas import hold

# A slot (rating.SLOT) lies within one hour and one period, so one verdict serves all of it.
_WAITING = """
SELECT DISTINCT date_bin('15 minutes', occurred_at, '2000-01-01T00:00Z') AS slot,
    model, mode, meter, period_id, reason
FROM metering_unratedusage
WHERE customer_id = %s AND resolved_at IS NULL
  AND (%s::text[] IS NULL OR model = ANY(%s))
  AND occurred_at >= coalesce(%s::timestamptz, '-infinity')
  AND occurred_at < coalesce(%s::timestamptz, 'infinity')"""

_RESOLVE = """
WITH verdict AS (
    SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bigint[])
        AS given (slot, model, mode, meter, period_id)
), counted AS (
    UPDATE metering_usagestate SET rated_seq = rated_seq + 1 WHERE customer_id = %s
    RETURNING rated_seq
), resolved AS (
    UPDATE metering_unratedusage AS waiting
    SET resolved_at = %s, resolution = 'rated', period_id = verdict.period_id,
        rated_seq = counted.rated_seq
    FROM verdict CROSS JOIN counted
    WHERE waiting.customer_id = %s AND waiting.resolved_at IS NULL
      AND waiting.occurred_at >= verdict.slot
      AND waiting.occurred_at < verdict.slot + interval '15 minutes'
      AND waiting.model = verdict.model AND waiting.mode = verdict.mode
      AND waiting.meter = verdict.meter
    RETURNING verdict.slot, waiting.model, waiting.mode, waiting.meter, waiting.quantity
)
SELECT slot, model, mode, meter, sum(quantity)::numeric, count(*) FROM resolved
GROUP BY slot, model, mode, meter"""

_RELABEL = """
WITH verdict AS (
    SELECT * FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bigint[],
                         %s::text[])
        AS given (slot, model, mode, meter, period_id, reason)
)
UPDATE metering_unratedusage AS waiting
SET period_id = verdict.period_id, reason = verdict.reason
FROM verdict
WHERE waiting.customer_id = %s AND waiting.resolved_at IS NULL
  AND waiting.occurred_at >= verdict.slot
  AND waiting.occurred_at < verdict.slot + interval '15 minutes'
  AND waiting.model = verdict.model AND waiting.mode = verdict.mode
  AND waiting.meter = verdict.meter"""

# What an event still counts for: its quantities, unless it has been voided.
_LIVE = """
CREATE TEMPORARY TABLE metering_detached ON COMMIT DROP AS
SELECT event.chunk_id, event.place, event.source, event.event_id, event.occurred_at, event.model,
    event.mode, counted.meter, counted.quantity
FROM metering_usageevent AS event
CROSS JOIN LATERAL (
    SELECT * FROM (VALUES
        ('input_tokens', event.input_tokens), ('cached_input_tokens', event.cached_input_tokens),
        ('output_tokens', event.output_tokens), ('gpu_seconds', event.gpu_seconds)
    ) AS built_in (meter, quantity)
    UNION ALL
    SELECT key, value::bigint FROM jsonb_each_text(event.extra -> 'quantities')
) AS counted
WHERE event.customer_id = %(customer)s AND event.kind <> 4 AND counted.quantity > 0
  AND metering_run_reaches(event.run_first_at, event.run_last_at, %(start)s, %(end)s)
  AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
  AND NOT EXISTS (
    SELECT 1 FROM metering_usagevoid AS void
    WHERE void.chunk_id = event.chunk_id AND void.place = event.place)
  AND NOT EXISTS (
    SELECT 1 FROM metering_unratedusage AS known
    WHERE known.chunk_id = event.chunk_id AND known.place = event.place
      AND known.meter = counted.meter AND known.resolution <> 'rated')"""

_TAKE_OFF = """
SELECT kept.hour, kept.model, kept.mode, kept.meter, kept.rate, sum(gone.quantity)::numeric
FROM metering_detached AS gone JOIN metering_usagehour AS kept
    ON kept.customer_id = %s AND kept.period_id = %s
   AND kept.hour = date_trunc('hour', gone.occurred_at, 'UTC')
   AND kept.model = gone.model AND kept.mode = gone.mode AND kept.meter = gone.meter
GROUP BY kept.hour, kept.model, kept.mode, kept.meter, kept.rate"""

_WAIT_AGAIN = """
INSERT INTO metering_unratedusage AS known
    (customer_id, chunk_id, place, source, event_name, period_id, occurred_at, model, mode, meter,
     quantity, reason, recorded_at, resolution)
SELECT %s, chunk_id, place, source, event_id, NULL, occurred_at, model, mode, meter, quantity,
    'no_commit', %s, ''
FROM metering_detached
ON CONFLICT (chunk_id, place, meter) DO UPDATE
    SET period_id = NULL, reason = 'no_commit', resolved_at = NULL, resolution = '',
        rated_seq = NULL"""

_UNLINK = """
UPDATE metering_unratedusage
SET period_id = NULL, reason = CASE WHEN resolved_at IS NULL THEN 'no_commit' ELSE reason END
WHERE customer_id = %s AND period_id = %s AND occurred_at >= %s"""


def rate_waiting_usage(
    *,
    customer_ids: Sequence[int],
    now: datetime,
    models: Sequence[str] | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> int:
    """Rate what can be rated of the waiting usage: how many quantities were.

    Limited to usage timed in `[start, end)` and to some models if given. What still cannot be
    rated keeps waiting, with its period and reason brought up to date.
    """
    versions = dict(
        UsageState.objects.filter(customer_id__in=list(customer_ids)).values_list(
            "customer_id", "terms_version"
        )
    )
    rated = 0
    for customer_id, rates in sorted(customer_rates(terms_versions=versions).items()):
        asked = list(models) if models is not None else None
        with connection.cursor() as cursor:
            cursor.execute(_WAITING, [customer_id, asked, asked, start, end])
            waiting = cursor.fetchall()
        found: dict[tuple[Any, ...], tuple[int, Any]] = {}
        relabelled = []
        for slot, model, mode, meter, period_id, reason in waiting:
            period = rates.period_at(slot)
            rate = rates.rate(period, hour_of(slot), model, mode, meter) if period else None
            if period is not None and rate is not None:
                found[slot, model, mode, meter] = (period.id, rate)
                continue
            why = UnratedReason.NO_PRICE if period else UnratedReason.NO_COMMIT
            if (period.id if period else None, why.value) != (period_id, reason):
                label = (slot, model, mode, meter, period.id if period else None, why.value)
                relabelled.append(label)
        _relabel(customer_id, relabelled)
        rated += _resolve(customer_id, found, now)
    return rated


def _resolve(customer_id: int, found: dict[tuple[Any, ...], tuple[int, Any]], now: datetime) -> int:
    if not found:
        return 0
    columns = [list(column) for column in zip(*found, strict=True)]
    with connection.cursor() as cursor:
        periods = [period for period, _ in found.values()]
        cursor.execute(_RESOLVE, [*columns, periods, customer_id, now, customer_id])
        rows = cursor.fetchall()
    add_usage(
        rows=[
            RatedQuantity(
                customer_id,
                found[slot, model, mode, meter][0],
                hour_of(slot),
                model,
                mode,
                meter,
                found[slot, model, mode, meter][1],
                int(quantity),
            )
            for slot, model, mode, meter, quantity, _ in rows
        ]
    )
    return sum(count for *_, count in rows)


def _relabel(customer_id: int, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        with connection.cursor() as cursor:
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_RELABEL, [*columns, customer_id])


def detach_usage(
    *, customer_id: int, period_id: int, start: datetime, end: datetime, now: datetime
) -> None:
    """Take the usage timed in `[start, end)` out of a period: it waits, without a commit.

    What was rated leaves the rollups at the rate that it had; what was waived or voided keeps its
    resolution. Goes through the customer's events of that time: meant for a cut near now.
    """
    hold()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS metering_detached")
        cursor.execute(_LIVE, {"customer": customer_id, "start": start, "end": end})
        cursor.execute(_TAKE_OFF, [customer_id, period_id])
        rows = [
            RatedQuantity(customer_id, period_id, hour, model, mode, meter, rate, -int(quantity))
            for hour, model, mode, meter, rate, quantity in cursor.fetchall()
        ]
        add_usage(rows=rows)
        cursor.execute(_WAIT_AGAIN, [customer_id, now])
        cursor.execute(_UNLINK, [customer_id, period_id, start])
        cursor.execute("DROP TABLE metering_detached")
