"""Reads the rollups: what a period's usage comes to. Exact, and never stale.

All reads go by the rollups' primary keys (customer, period, ...): a handful of rows, however many
events there were.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import msgspec
from django.db import connection

from billing.domain.array_format import array_of
from billing.domain.errors import InvalidInput
from billing.domain.money import ZERO
from metering.models import UsagePeriod


class GroupTotal(msgspec.Struct, frozen=True, order=True):
    """Usage of one model, mode, meter and rate. `rate` is dollars per unit."""

    model: str
    mode: str
    meter: str
    rate: Decimal
    quantity: int

    @property
    def amount(self) -> Decimal:
        """Exact dollars."""
        return self.rate * self.quantity


# `period` is joined for its customer, with which the rollups' keys begin. What has not been folded
# in yet stands beside, because a join would make of a view of both a scan of everything.
_TOTALS = """
SELECT kept.period_id, kept.model, kept.mode, kept.meter, kept.rate, kept.quantity
FROM metering_usagetotal AS kept JOIN metering_usageperiod AS period
    ON kept.customer_id = period.customer_id AND kept.period_id = period.id
WHERE period.id = ANY(%(periods)s::bigint[]) AND kept.quantity <> 0
UNION ALL
SELECT period_id, model, mode, meter, rate, quantity FROM metering_pendingusage
WHERE period_id = ANY(%(periods)s::bigint[])"""
_GROUPS = f"""
SELECT period_id, model, mode, meter, rate, sum(quantity) FROM ({_TOTALS}) AS kept
GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608 (of this module alone)
_AMOUNTS = f"""
SELECT period_id, sum(quantity * rate) FROM ({_TOTALS}) AS kept GROUP BY 1"""  # noqa: S608
_DAYS = """
SELECT period_id, day, sum(amount) FROM (
    SELECT kept.period_id, kept.day, kept.amount
    FROM metering_usageday AS kept JOIN metering_usageperiod AS period
        ON kept.customer_id = period.customer_id AND kept.period_id = period.id
    WHERE period.id = ANY(%(periods)s::bigint[])
    UNION ALL
    SELECT period_id, (hour AT TIME ZONE 'UTC')::date, (quantity * rate)::numeric(38, 12)
    FROM metering_pendingusage WHERE period_id = ANY(%(periods)s::bigint[])
) AS kept GROUP BY 1, 2 ORDER BY 1, 2"""
_BEFORE = """
SELECT coalesce((
    SELECT sum(kept.quantity * kept.rate) FROM metering_hourlyusage AS kept
    WHERE kept.customer_id = period.customer_id AND kept.period_id = period.id
      AND kept.hour < asked.instant), 0)
FROM metering_usageperiod AS period,
    unnest(%s::timestamptz[]) WITH ORDINALITY AS asked (instant, place)
WHERE period.id = %s ORDER BY asked.place"""
_UNRATED = """
SELECT period_id, count(DISTINCT (chunk_id, place)) FROM metering_unratedusage
WHERE period_id = ANY(%s::bigint[]) AND resolved_at IS NULL GROUP BY period_id"""


def period_totals(*, period_ids: Sequence[int]) -> dict[int, list[GroupTotal]]:
    """The groups of each period, sorted by model, mode, meter and rate. Zeros are left out."""
    found: dict[int, list[GroupTotal]] = {period_id: [] for period_id in period_ids}
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, {"periods": array_of(found)})
        for period_id, model, mode, meter, rate, quantity in cursor.fetchall():
            found[period_id].append(GroupTotal(model, mode, meter, rate, int(quantity)))
    for groups in found.values():
        groups.sort()
    return found


def period_amounts(*, period_ids: Sequence[int]) -> dict[int, Decimal]:
    """The exact dollars of each period; zero where nothing was rated."""
    found = dict.fromkeys(period_ids, ZERO)
    with connection.cursor() as cursor:
        cursor.execute(_AMOUNTS, {"periods": array_of(found)})
        found.update(cursor.fetchall())
    return found


def day_amounts(*, period_ids: Sequence[int]) -> dict[int, dict[date, Decimal]]:
    """The exact dollars of each UTC day of each period, in the order of days."""
    found: dict[int, dict[date, Decimal]] = {period_id: {} for period_id in period_ids}
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, {"periods": array_of(found)})
        for period_id, day, amount in cursor.fetchall():
            found[period_id][day] = amount
    return found


def amount_before(*, period_id: int, instants: Sequence[datetime]) -> list[Decimal]:
    """Exact dollars of the period's usage timed before each instant, in the order asked.

    Raises InvalidInput `not_a_whole_hour` for an instant inside the period that is not a whole
    UTC hour: the rollups cannot tell, and money is not guessed.
    """
    if not instants:
        return []
    period = UsagePeriod.objects.get(pk=period_id)
    for instant in instants:
        inside = period.starts_at < instant < period.ends_at
        if inside and (instant.minute or instant.second or instant.microsecond):
            raise InvalidInput("not_a_whole_hour", f"{instant} is not a whole hour")
    with connection.cursor() as cursor:
        # An hour that a bound of the period cuts counts in it with just the usage inside.
        cursor.execute(_BEFORE, [list(instants), period_id])
        amounts = [amount for (amount,) in cursor.fetchall()]
    return [
        ZERO if at <= period.starts_at else amount
        for at, amount in zip(instants, amounts, strict=True)
    ]


def open_unrated_counts(*, period_ids: Sequence[int]) -> dict[int, int]:
    """How many events of each period have a quantity that waits to be rated."""
    found = dict.fromkeys(period_ids, 0)
    with connection.cursor() as cursor:
        cursor.execute(_UNRATED, [array_of(found)])
        found.update(cursor.fetchall())
    return found
