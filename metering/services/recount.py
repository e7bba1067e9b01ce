"""Counts usage again from the events, as of any point of the past: what explanations rest on.

A point of the past is a cutoff: the events accepted up to a sequence number, and of usage that had
to wait for its price, what had been rated up to a count of its own (rating later takes no sequence
number, and instants do not tell who came first: a job that is made up for goes by one long past).
Between two cutoffs lies what one entry of the journal books: events that came, less events that
were voided. Rollups are not read here, and rates are derived again from price book and terms; only
`recounted_amounts`, which serves the proof of whole ledgers, takes the rates of the hourly rollup,
each of which `proof.rederive_rollups` derives again in the same run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from billing.domain.errors import InvariantViolation, NotFound
from billing.domain.money import ZERO
from metering.domain.rates import PriceKey, Rate
from metering.models import UsagePeriod
from metering.services.rating import uncached_rates

_REPORTED = """
CROSS JOIN LATERAL (
    SELECT * FROM (VALUES
        ('input_tokens', event.input_tokens), ('cached_input_tokens', event.cached_input_tokens),
        ('output_tokens', event.output_tokens), ('gpu_seconds', event.gpu_seconds)
    ) AS built_in (meter, quantity)
    UNION ALL
    SELECT key, value::bigint FROM jsonb_each_text(event.extra -> 'quantities')
) AS reported
LEFT JOIN metering_usagevoid AS void
    ON void.chunk_id = event.chunk_id AND void.place = event.place
LEFT JOIN metering_unratedusage AS known ON known.chunk_id = event.chunk_id
    AND known.place = event.place AND known.meter = reported.meter"""

# `sign` is 1 for what counts at the later cutoff only, -1 for what counted at the earlier one only.
_MOVED = """
WITH moved AS (
    SELECT event.seq, event.source, event.event_id, event.occurred_at,
        void.event_id AS voided_by,
        date_trunc('hour', event.occurred_at, 'UTC') AS hour, event.model, event.mode,
        reported.meter, reported.quantity,
        (event.seq <= %(through)s AND coalesce(void.seq > %(through)s, true)
            AND coalesce(known.rated_seq <= %(through_rated)s::bigint,
                known.resolved_at <= %(through_at)s, true))::int
        - (event.seq <= %(after)s AND coalesce(void.seq > %(after)s, true)
            AND coalesce(known.rated_seq <= %(after_rated)s::bigint,
                known.resolved_at <= %(after_at)s, true))::int AS sign
    FROM metering_usageevent AS event"""
_WHICH = """
    WHERE event.customer_id = %(customer)s AND event.kind <> 4 AND reported.quantity > 0
        AND metering_run_reaches(event.run_first_at, event.run_last_at, %(start)s, %(end)s)
        AND event.occurred_at >= %(start)s AND event.occurred_at < %(end)s
        AND event.seq <= %(through)s AND coalesce(known.resolution, 'rated') = 'rated'
        AND (%(model)s::text IS NULL OR (event.model = %(model)s AND event.mode = %(mode)s
            AND reported.meter = %(meter)s))
)"""
_QUANTITIES = """
SELECT hour, model, mode, meter, sum(sign * quantity)::numeric FROM moved
WHERE sign <> 0 GROUP BY hour, model, mode, meter ORDER BY model, mode, meter, hour"""
_EVENTS = """
SELECT source, event_id, seq, occurred_at, sign, CASE WHEN sign < 0 THEN voided_by END,
    count(*) OVER ()
FROM (SELECT DISTINCT seq, source, event_id, occurred_at, sign, voided_by FROM moved
      WHERE sign <> 0 AND hour = ANY(coalesce(%(hours)s::timestamptz[], ARRAY[hour]))) AS found
ORDER BY seq LIMIT %(limit)s"""

_COUNTED = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(periods)s::bigint[], %(days)s::date[], %(seqs)s::bigint[],
        %(instants)s::timestamptz[], %(rated)s::bigint[])
        AS given (period_id, day, through, through_at, through_rated)
), counted AS MATERIALIZED (
    SELECT period.id AS period_id, event.customer_id,
        date_trunc('hour', event.occurred_at, 'UTC') AS hour, event.model, event.mode,
        reported.meter,
        sum(reported.quantity) FILTER (WHERE event.seq <= daily.through
            AND coalesce(void.seq > daily.through, true)
            AND coalesce(known.rated_seq <= daily.through_rated,
                known.resolved_at <= daily.through_at, true)) AS of_day,
        sum(reported.quantity) FILTER (WHERE event.seq <= whole.through
            AND coalesce(void.seq > whole.through, true)
            AND coalesce(known.rated_seq <= whole.through_rated,
                known.resolved_at <= whole.through_at, true)) AS of_period
    FROM metering_everyusageevent AS event
    JOIN metering_usageperiod AS period ON period.customer_id = event.customer_id
        AND event.occurred_at >= period.starts_at AND event.occurred_at < period.ends_at
    LEFT JOIN asked AS daily ON daily.period_id = period.id
        AND daily.day = (event.occurred_at AT TIME ZONE 'UTC')::date
    LEFT JOIN (SELECT * FROM asked WHERE day IS NULL) AS whole ON whole.period_id = period.id"""
_AMOUNTS = """
    WHERE event.kind <> 4 AND reported.quantity > 0
        AND coalesce(known.resolution, 'rated') = 'rated'
        AND (daily.through IS NOT NULL OR whole.through IS NOT NULL)
    GROUP BY 1, 2, 3, 4, 5, 6
)
SELECT counted.period_id, (counted.hour AT TIME ZONE 'UTC')::date,
    sum(coalesce(counted.of_day, 0) * kept.rate), sum(coalesce(counted.of_period, 0) * kept.rate)
FROM counted CROSS JOIN LATERAL (
    SELECT kept.rate FROM metering_hourlyusage AS kept
    WHERE kept.customer_id = counted.customer_id AND kept.period_id = counted.period_id
        AND kept.hour = counted.hour AND kept.model = counted.model AND kept.mode = counted.mode
        AND kept.meter = counted.meter
    ORDER BY kept.quantity DESC LIMIT 1
) AS kept
GROUP BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Events up to and including `through_seq`; of what waited, what was rated up to the
    `rated_seq`-th time. By `at` where these times were not counted yet."""

    through_seq: int
    at: datetime
    rated_seq: int | None = None


NOTHING = Cutoff(0, datetime(1970, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class UsageScope:
    """Which usage of a period: of one UTC day, or of one (model, mode, meter) and rate; or all."""

    period_id: int
    day: date | None = None
    key: PriceKey | None = None
    rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class RecountedGroup:
    """A quantity (negative where more was voided than came) and how its rate came about."""

    rate: Rate
    quantity: int

    @property
    def amount(self) -> Decimal:
        """Exact dollars."""
        return self.rate.rate * self.quantity


@dataclass(frozen=True, slots=True)
class CountedEvent:
    """An event that came (`sign` 1), or that `voided_by` took back (-1)."""

    source: str
    id: str
    seq: int
    occurred_at: datetime
    sign: int
    voided_by: str | None


@dataclass(frozen=True, slots=True)
class Recount:
    """What changed between two cutoffs. `events` are the first of `event_count`, by sequence."""

    groups: tuple[RecountedGroup, ...]
    event_count: int
    events: tuple[CountedEvent, ...]

    @property
    def amount(self) -> Decimal:
        """Exact dollars."""
        return sum((group.amount for group in self.groups), ZERO)


def recount(*, scope: UsageScope, after: Cutoff, through: Cutoff, limit: int = 100) -> Recount:
    """Usage in `scope` that counts at `through` and did not at `after`, less the other way round.

    Raises NotFound `unknown_period`, InvariantViolation `rated_without_terms`.
    """
    period = UsagePeriod.objects.filter(pk=scope.period_id).first()
    if period is None:
        raise NotFound("unknown_period", f"no usage period {scope.period_id}")
    given = _parameters(period, scope, after, through)
    with connection.cursor() as cursor:
        cursor.execute(_MOVED + _REPORTED + _WHICH + _QUANTITIES, given)
        rows = cursor.fetchall()
    groups, hours = _rated(period, rows, scope.rate)
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVED + _REPORTED + _WHICH + _EVENTS, {**given, "hours": hours, "limit": limit}
        )
        found = cursor.fetchall()
    count = int(found[0][-1]) if found else 0
    return Recount(groups, count, tuple(CountedEvent(*row[:-1]) for row in found))


def _parameters(
    period: UsagePeriod, scope: UsageScope, after: Cutoff, through: Cutoff
) -> dict[str, Any]:
    key = scope.key
    start, end = period.starts_at, period.ends_at
    if scope.day:
        midnight = datetime.combine(scope.day, time.min, UTC)
        start, end = max(start, midnight), min(end, midnight + timedelta(days=1))
    return {
        "customer": period.customer_id,
        "start": start,
        "end": end,
        "model": key.model if key else None,
        "mode": key.mode if key else None,
        "meter": key.meter if key else None,
        "after": after.through_seq,
        "after_at": after.at,
        "after_rated": after.rated_seq,
        "through": through.through_seq,
        "through_at": through.at,
        "through_rated": through.rated_seq,
    }


def _rated(
    period: UsagePeriod, rows: Sequence[tuple[Any, ...]], only: Decimal | None
) -> tuple[tuple[RecountedGroup, ...], list[datetime] | None]:
    """Quantities by hour, at rates derived anew; hours whose rate has one derivation are one group.

    With `only`, the hours at that rate, which are named for the search of their events.
    """
    rates = uncached_rates(customer_id=period.customer_id)
    mine = next(one for one in rates.periods if one.id == period.pk)
    groups: dict[Rate, tuple[Rate, int]] = {}
    hours: set[datetime] = set()
    for hour, model, mode, meter, quantity in rows:
        rate = rates.explain(mine, hour, PriceKey(model, mode, meter))
        if rate is None:
            raise InvariantViolation(
                "rated_without_terms", f"{model} {mode} {meter} at {hour} was rated without a rate"
            )
        if only is None or rate.rate == only:
            first, so_far = groups.get(replace(rate, at=period.starts_at), (rate, 0))
            groups[replace(rate, at=period.starts_at)] = (first, so_far + int(quantity))
            hours.add(hour)
    found = tuple(RecountedGroup(rate, quantity) for rate, quantity in groups.values())
    return found, sorted(hours) if only is not None else None


def recounted_amounts(
    *, cutoffs: dict[tuple[int, date | None], Cutoff]
) -> dict[tuple[int, date | None], Decimal]:
    """Exact dollars by (period id, UTC day), each as of its cutoff; day None is all of the period.

    One pass over the events, however many are asked.
    """
    given: dict[str, Any] = {
        "periods": [period_id for period_id, _ in cutoffs],
        "days": [day for _, day in cutoffs],
        "seqs": [cutoff.through_seq for cutoff in cutoffs.values()],
        "instants": [cutoff.at for cutoff in cutoffs.values()],
        "rated": [cutoff.rated_seq for cutoff in cutoffs.values()],
    }
    found = dict.fromkeys(cutoffs, ZERO)
    if not cutoffs:
        return found
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED + _REPORTED + _AMOUNTS, given)
        for period_id, day, of_day, of_period in cursor.fetchall():
            for key, amount in (((period_id, day), of_day), ((period_id, None), of_period)):
                if key in found:
                    found[key] += amount
    return found
