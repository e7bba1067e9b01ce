"""Rated usage as its readers ask for it: by day, project, model, mode or meter, and idle hardware.

Reads the hourly rollup; only what is asked by project, and idle hardware, goes to the events,
because the rollups do not keep them apart. Times are half-open and whole UTC hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection

from billing.domain.errors import InvalidInput
from metering.services.quotes import require_whole_hour

DIMENSIONS = {
    "day": "(counted.hour AT TIME ZONE 'UTC')::date",
    "project": "counted.project",
    "model": "counted.model",
    "mode": "counted.mode",
    "meter": "counted.meter",
}

_FROM_HOURS = """
SELECT hour, NULL::text AS project, model, mode, meter, rate, quantity FROM metering_hourlyusage
WHERE customer_id = %(customer)s AND hour >= %(start)s AND hour < %(end)s
    AND period_id IN (
        SELECT id FROM metering_usageperiod WHERE customer_id = %(customer)s
        AND starts_at < %(end)s AND ends_at > %(start)s)"""

# Added up before their rates are looked for: nobody can tell the planner how many events there are.
_FROM_EVENTS = """
WITH used AS MATERIALIZED (
SELECT event.customer_id, period.id AS period_id,
    date_trunc('hour', event.occurred_at, 'UTC') AS hour, event.project, event.model, event.mode,
    reported.meter, sum(reported.quantity) AS quantity
FROM metering_usageevent AS event
CROSS JOIN LATERAL (
    SELECT * FROM (VALUES
        ('input_tokens', event.input_tokens), ('cached_input_tokens', event.cached_input_tokens),
        ('output_tokens', event.output_tokens), ('gpu_seconds', event.gpu_seconds)
    ) AS built_in (meter, quantity)
    UNION ALL
    SELECT key, value::bigint FROM jsonb_each_text(event.extra -> 'quantities')
) AS reported
JOIN metering_usageperiod AS period ON period.customer_id = event.customer_id
    AND event.occurred_at >= period.starts_at AND event.occurred_at < period.ends_at
WHERE event.customer_id = %(customer)s AND event.kind <> 4 AND reported.quantity > 0
    AND metering_run_reaches(event.run_first_at, event.run_last_at, %(start)s, %(end)s)
    AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND NOT EXISTS (
        SELECT 1 FROM metering_usagevoid AS void
        WHERE void.chunk_id = event.chunk_id AND void.place = event.place)
    AND NOT EXISTS (
        SELECT 1 FROM metering_unratedusage AS known
        WHERE known.chunk_id = event.chunk_id AND known.place = event.place
            AND known.meter = reported.meter AND known.resolution <> 'rated')
GROUP BY 1, 2, 3, 4, 5, 6, 7
)
SELECT used.hour, used.project, used.model, used.mode, used.meter, kept.rate, used.quantity
FROM used CROSS JOIN LATERAL (
    SELECT kept.rate FROM metering_hourlyusage AS kept
    WHERE kept.customer_id = used.customer_id AND kept.period_id = used.period_id
        AND kept.hour = used.hour AND kept.model = used.model AND kept.mode = used.mode
        AND kept.meter = used.meter AND kept.quantity > 0
    LIMIT 1
) AS kept"""

_IDLE = """
SELECT coalesce(sum(event.gpu_seconds - event.busy_gpu_seconds), 0),
    coalesce(sum((event.gpu_seconds - event.busy_gpu_seconds) * kept.rate), 0)
FROM metering_usageevent AS event
JOIN metering_usageperiod AS period ON period.customer_id = event.customer_id
    AND event.occurred_at >= period.starts_at AND event.occurred_at < period.ends_at
CROSS JOIN LATERAL (
    SELECT kept.rate FROM metering_hourlyusage AS kept
    WHERE kept.customer_id = event.customer_id AND kept.period_id = period.id
        AND kept.hour = date_trunc('hour', event.occurred_at, 'UTC')
        AND kept.model = event.model AND kept.mode = event.mode
        AND kept.meter = 'gpu_seconds' AND kept.quantity > 0
    LIMIT 1
) AS kept
WHERE event.customer_id = %(customer)s AND event.has_hardware AND event.kind = 2
    AND metering_run_reaches(event.run_first_at, event.run_last_at, %(start)s, %(end)s)
    AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
    AND NOT EXISTS (
        SELECT 1 FROM metering_usagevoid AS void
        WHERE void.chunk_id = event.chunk_id AND void.place = event.place)
    AND NOT EXISTS (
        SELECT 1 FROM metering_unratedusage AS known
        WHERE known.chunk_id = event.chunk_id AND known.place = event.place
            AND known.resolution <> 'rated')"""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Usage of one group. What it is not grouped by is None.

    `quantity` is None where meters (units) would be mixed, `rate` where rates would be.
    """

    day: date | None
    project: str | None
    model: str | None
    mode: str | None
    meter: str | None
    rate: Decimal | None
    quantity: int | None
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Idle:
    """What dedicated hardware cost while it was idle: reported, billed with its GPU-seconds."""

    gpu_seconds: int
    amount: Decimal


def usage_rows(
    *, customer_id: int, start: datetime, end: datetime, group_by: Sequence[str]
) -> list[UsageRow]:
    """Rated usage timed in `[start, end)` in the order of its groups.

    Where it is grouped by model, mode and meter, rows of different rates stay apart. Raises
    InvalidInput `unknown_group` or `not_a_whole_hour`.
    """
    unknown = sorted(set(group_by) - DIMENSIONS.keys())
    if unknown:
        raise InvalidInput("unknown_group", f"usage is not grouped by {', '.join(unknown)}")
    require_whole_hour(start)
    require_whole_hour(end)
    by_rate = {"model", "mode", "meter"} <= set(group_by)
    chosen = [expression if name in group_by else "NULL" for name, expression in DIMENSIONS.items()]
    chosen.append("counted.rate" if by_rate else "NULL")
    groups = [expression for expression in chosen if expression != "NULL"]
    # Only this module's own expressions are put together; what is asked for is a parameter.
    statement = " ".join(
        (
            "SELECT",
            ", ".join(chosen),
            ", sum(counted.quantity)::numeric, sum(counted.quantity * counted.rate) FROM (",
            _FROM_EVENTS if "project" in group_by else _FROM_HOURS,
            ") AS counted WHERE counted.quantity <> 0",
            f"GROUP BY {', '.join(groups)} ORDER BY {', '.join(groups)}" if groups else "",
        )
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"customer": customer_id, "start": start, "end": end})
        found = cursor.fetchall()
    counts_units = "meter" in group_by
    return [
        UsageRow(
            day=day,
            project=project,
            model=model,
            mode=mode,
            meter=meter,
            rate=rate,
            quantity=int(quantity) if counts_units else None,
            amount=amount,
        )
        for day, project, model, mode, meter, rate, quantity, amount in found
        if amount is not None
    ]


def idle_hardware(*, customer_id: int, start: datetime, end: datetime) -> Idle:
    """(gpu - busy) seconds of rated dedicated hardware timed in `[start, end)`, and its dollars."""
    with connection.cursor() as cursor:
        cursor.execute(_IDLE, {"customer": customer_id, "start": start, "end": end})
        seconds, amount = cursor.fetchone()
    return Idle(int(seconds), amount)
