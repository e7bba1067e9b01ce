"""Holds what agents say they have sent against what was stored, hour by hour.

An agent counts what it sends and posts its totals; whatever differs has been lost, doubled, refused
or sent by somebody who does not report. Totals of several sources are added up, so all sources of
a customer take part or none. Compared at each reading with the rollups and with what still waits
to be rated (or has been waived): events that arrive late settle their difference by themselves.
Usage that was voided counts no more, on either side.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from billing.domain.errors import InvalidInput
from billing.models import Customer
from metering.domain.meters import CACHED_INPUT_TOKENS, INPUT_TOKENS, Mode
from metering.models import Meter
from metering.services.quotes import require_whole_hour

MOST_TOTALS = 10_000
MOST_QUANTITY = 10**24
_KEEP = """
INSERT INTO metering_reportedtotal
    (customer_id, hour, model, mode, meter, source, quantity, reported_at)
SELECT customer_id, hour, model, mode, meter, %s, quantity, %s
FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::numeric[])
    AS given (customer_id, hour, model, mode, meter, quantity)
ORDER BY customer_id, hour, model, mode, meter
ON CONFLICT (customer_id, hour, model, mode, meter, source)
DO UPDATE SET quantity = excluded.quantity, reported_at = excluded.reported_at"""
# Only hours of a customer for which something was reported are compared.
_DIFFERENCES = """
WITH asked AS (
    SELECT DISTINCT customer_id, hour FROM metering_reportedtotal
    WHERE hour >= %(start)s AND hour < %(end)s
        AND (%(customers)s::bigint[] IS NULL OR customer_id = ANY(%(customers)s))
), reported AS (
    SELECT customer_id, hour, model, mode, meter, sum(quantity) AS quantity
    FROM metering_reportedtotal JOIN asked USING (customer_id, hour)
    GROUP BY customer_id, hour, model, mode, meter
), stored AS (
    SELECT customer_id, hour, model, mode, meter, sum(quantity) AS quantity FROM (
        SELECT kept.customer_id, kept.hour, kept.model, kept.mode, kept.meter, kept.quantity
        FROM asked JOIN metering_usageperiod AS period ON period.customer_id = asked.customer_id
            AND period.starts_at < asked.hour + interval '1 hour' AND period.ends_at > asked.hour
        JOIN metering_usagehour AS kept ON kept.customer_id = asked.customer_id
            AND kept.period_id = period.id AND kept.hour = asked.hour
        UNION ALL
        SELECT kept.customer_id, kept.hour, kept.model, kept.mode, kept.meter, kept.quantity
        FROM asked JOIN metering_pendingusage AS kept USING (customer_id, hour)
        UNION ALL
        SELECT waits.customer_id, asked.hour, waits.model, waits.mode, waits.meter, waits.quantity
        FROM asked JOIN metering_unratedusage AS waits ON waits.customer_id = asked.customer_id
            AND waits.occurred_at >= asked.hour
            AND waits.occurred_at < asked.hour + interval '1 hour'
        WHERE waits.resolved_at IS NULL OR waits.resolution = 'waived'
    ) AS counted GROUP BY customer_id, hour, model, mode, meter
)
SELECT customer.key, hour, model, mode, meter,
    coalesce(reported.quantity, 0), coalesce(stored.quantity, 0)
FROM reported FULL JOIN stored USING (customer_id, hour, model, mode, meter)
JOIN billing_customer AS customer ON customer.id = customer_id
WHERE coalesce(reported.quantity, 0) <> coalesce(stored.quantity, 0)
ORDER BY hour, customer.key, model, mode, meter LIMIT %(limit)s"""


@dataclass(frozen=True, slots=True)
class HourTotal:
    """A source's own count of one customer's hour: units of each meter, as events report them
    (`input_tokens` includes `cached_input_tokens`)."""

    customer: str
    hour: datetime
    model: str
    mode: str
    quantities: dict[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the counts differ. `reported` and `stored` are units of the meter."""

    customer: str
    hour: datetime
    model: str
    mode: str
    meter: str
    reported: int
    stored: int


def record_totals(
    *,
    source: str,
    totals: Sequence[HourTotal],
    allowed_customer_ids: Collection[int] | None,
    now: datetime,
) -> list[Difference]:
    """Keep a source's totals, and answer with what differs in those customers' hours.

    All or nothing. Raises InvalidInput `invalid_totals` naming every problem; a customer that the
    key may not report for is unknown to it.
    """
    customers = _customers({total.customer for total in totals}, allowed_customer_ids)
    problems = _problems(totals, customers)
    if problems:
        raise InvalidInput("invalid_totals", "; ".join(problems[:20]), problems=problems)
    rows = sorted(
        (customers[total.customer], total.hour, total.model, total.mode, meter, quantity)
        for total in totals
        for meter, quantity in _disjoint(total.quantities).items()
    )
    if not rows:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [source, now, *(list(column) for column in zip(*rows, strict=True))])
    hours = [total.hour for total in totals]
    told = {(total.customer, total.hour) for total in totals}
    end = max(hours) + timedelta(hours=1)
    found = _read(list(customers.values()), min(hours), end, MOST_TOTALS)
    return [item for item in found if (item.customer, item.hour) in told]


def differences(
    *, start: datetime, end: datetime, customer: Customer | None = None, limit: int = MOST_TOTALS
) -> list[Difference]:
    """What differs in the hours `[start, end)`, oldest first. Raises InvalidInput for no hours."""
    for bound in (start, end):
        require_whole_hour(bound)
    if end <= start:
        raise InvalidInput("invalid_range", "to is later than from")
    return _read([customer.pk] if customer else None, start, end, limit)


def _customers(keys: set[str], allowed: Collection[int] | None) -> dict[str, int]:
    found = dict(Customer.objects.filter(key__in=keys).values_list("key", "pk"))
    return {key: pk for key, pk in found.items() if allowed is None or pk in allowed}


def _problems(totals: Sequence[HourTotal], customers: Mapping[str, int]) -> list[str]:
    if len(totals) > MOST_TOTALS:
        return [f"at most {MOST_TOTALS} totals"]
    meters = set(Meter.objects.values_list("key", flat=True))
    modes = {mode.value for mode in Mode}
    seen = set()
    problems = []
    for place, total in enumerate(totals):
        group = (total.customer, total.hour, total.model, total.mode)
        wrong = []
        if group in seen:
            wrong.append("told twice")
        if total.customer not in customers:
            wrong.append(f"unknown customer {total.customer!r}")
        if total.hour.minute or total.hour.second or total.hour.microsecond:
            wrong.append("hour is not a whole UTC hour")
        if total.mode not in modes:
            wrong.append(f"unknown mode {total.mode!r}")
        wrong += [f"unknown meter {key!r}" for key in total.quantities if key not in meters]
        if any(not 0 <= units <= MOST_QUANTITY for units in total.quantities.values()):
            wrong.append("a quantity is out of range")
        elif any(units < 0 for units in _disjoint(total.quantities).values()):
            wrong.append("more cached input than input")
        seen.add(group)
        problems += [f"totals[{place}]: {words}" for words in wrong]
    return problems


def _disjoint(quantities: Mapping[str, int]) -> dict[str, int]:
    cached = quantities.get(CACHED_INPUT_TOKENS, 0)
    if not cached:
        return dict(quantities)
    return {**quantities, INPUT_TOKENS: quantities.get(INPUT_TOKENS, 0) - cached}


def _read(
    customer_ids: list[int] | None, start: datetime, end: datetime, limit: int
) -> list[Difference]:
    with connection.cursor() as cursor:
        cursor.execute(
            _DIFFERENCES,
            {"customers": customer_ids, "start": start, "end": end, "limit": limit},
        )
        return [
            Difference(customer, hour, model, mode, meter, int(reported), int(stored))
            for customer, hour, model, mode, meter, reported, stored in cursor.fetchall()
        ]
