"""Writes the three rollups: hours, days and totals of rated usage, always together.

Owns their one rule: they change in the database transaction that changes what they count, under
the customer's usage lock. Quantities may be negative (a void, a period cut short); what remains
never is, by constraint. Amounts are quantity x rate, exact, summed by the database in NUMERIC.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
from django.db import connection

from billing.domain.errors import InvariantViolation


class RatedQuantity(NamedTuple):
    """A signed quantity of one hour of a period, at its rate in dollars per unit."""

    customer_id: int
    period_id: int
    hour: datetime
    model: str
    mode: str
    meter: str
    rate: Decimal
    quantity: int


_GIVEN = """
WITH fresh AS MATERIALIZED (
    SELECT customer_id, period_id, hour, model, mode, meter, rate, sum(quantity) AS quantity
    FROM (
        SELECT c, p, to_timestamp(h), m, o, k, r, q
        FROM json_to_recordset(%s::json)
            AS given (c bigint, p bigint, h bigint, m text, o text, k text, r numeric, q numeric)
    ) AS given (customer_id, period_id, hour, model, mode, meter, rate, quantity)
    GROUP BY customer_id, period_id, hour, model, mode, meter, rate
    ORDER BY customer_id, period_id, hour, model, mode, meter
), fresh_days AS (
    SELECT customer_id, period_id, (hour AT TIME ZONE 'UTC')::date AS day,
        sum(quantity * rate) AS amount
    FROM fresh GROUP BY customer_id, period_id, day ORDER BY customer_id, period_id, day
), fresh_totals AS (
    SELECT customer_id, period_id, model, mode, meter, rate, sum(quantity) AS quantity
    FROM fresh GROUP BY customer_id, period_id, model, mode, meter, rate
    ORDER BY customer_id, period_id, model, mode, meter, rate
),"""

# Rows are written in key order. Customers are locked by then, so this is not for the locks but
# for the index pages. A row that has come down to zero may be counted up at another rate.
_ADD = """
hours AS (
    INSERT INTO metering_usagehour AS kept
        (customer_id, period_id, hour, model, mode, meter, rate, quantity)
    SELECT customer_id, period_id, hour, model, mode, meter, rate, quantity FROM fresh
    ON CONFLICT (customer_id, period_id, hour, model, mode, meter) DO UPDATE
        SET quantity = kept.quantity + excluded.quantity, rate = excluded.rate
        WHERE kept.rate = excluded.rate OR kept.quantity = 0
    RETURNING 1
), days AS (
    INSERT INTO metering_usageday AS kept (customer_id, period_id, day, amount)
    SELECT customer_id, period_id, day, amount FROM fresh_days
    ON CONFLICT (customer_id, period_id, day) DO UPDATE
        SET amount = kept.amount + excluded.amount
), totals AS (
    INSERT INTO metering_usagetotal AS kept
        (customer_id, period_id, model, mode, meter, rate, quantity)
    SELECT customer_id, period_id, model, mode, meter, rate, quantity FROM fresh_totals
    ON CONFLICT (customer_id, period_id, model, mode, meter, rate) DO UPDATE
        SET quantity = kept.quantity + excluded.quantity
)
SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM hours)"""

# An upsert checks the row that it proposes before it looks for the one that is there, so taking
# off must be an update. The rows are there, or somebody takes back what was never counted.
_TAKE_OFF = """
hours AS (
    UPDATE metering_usagehour AS kept SET quantity = kept.quantity + fresh.quantity FROM fresh
    WHERE (kept.customer_id, kept.period_id, kept.hour, kept.model, kept.mode, kept.meter)
        = (fresh.customer_id, fresh.period_id, fresh.hour, fresh.model, fresh.mode, fresh.meter)
        AND kept.rate = fresh.rate
    RETURNING 1
), days AS (
    UPDATE metering_usageday AS kept SET amount = kept.amount + fresh.amount
    FROM fresh_days AS fresh
    WHERE (kept.customer_id, kept.period_id, kept.day)
        = (fresh.customer_id, fresh.period_id, fresh.day)
), totals AS (
    UPDATE metering_usagetotal AS kept SET quantity = kept.quantity + fresh.quantity
    FROM fresh_totals AS fresh
    WHERE (kept.customer_id, kept.period_id, kept.model, kept.mode, kept.meter, kept.rate)
        = (fresh.customer_id, fresh.period_id, fresh.model, fresh.mode, fresh.meter, fresh.rate)
)
SELECT (SELECT count(*) FROM fresh), (SELECT count(*) FROM hours)"""


def add_usage(*, rows: Sequence[RatedQuantity]) -> None:
    """Add signed quantities to the hours, days and totals. The usage locks must be held.

    Raises InvariantViolation if an hour has been rated at another rate.
    """
    _write(_ADD, [row for row in rows if row.quantity > 0])
    _write(_TAKE_OFF, [row for row in rows if row.quantity < 0])


def _write(statement: str, rows: list[RatedQuantity]) -> None:
    if not rows:
        return
    # One JSON text, because building eight arrays of a few hundred values costs more than the rest.
    given = [
        {
            "c": row.customer_id,
            "p": row.period_id,
            "h": int(row.hour.timestamp()),
            "m": row.model,
            "o": row.mode,
            "k": row.meter,
            "r": f"{row.rate:f}",
            "q": str(row.quantity),
        }
        for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.execute(_GIVEN + statement, [msgspec.json.encode(given).decode()])
        asked, written = cursor.fetchone()
    if asked != written:
        raise InvariantViolation(
            "hour_rated_twice", "an hour of usage has been rated at another rate before"
        )


def forget_empty(*, period_id: int) -> None:
    """Delete the rollup rows of a period that have come down to nothing."""
    with connection.cursor() as cursor:
        for table, figure in (
            ("metering_usagehour", "quantity"),
            ("metering_usagetotal", "quantity"),
            ("metering_usageday", "amount"),
        ):
            cursor.execute(
                f"DELETE FROM {table} AS kept USING metering_usageperiod AS period"  # noqa: S608
                f" WHERE period.id = %s AND kept.customer_id = period.customer_id"
                f" AND kept.period_id = period.id AND kept.{figure} = 0",
                [period_id],
            )
