"""Changed terms against what has been rated: refused, or rated anew.

A price or an override must not change an amount already rated. A better discount may: it starts
at the next whole hour, and the only usage after it is that of events up to five minutes ahead.
Both look at the hourly rollup, whose rows have one rate each.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from billing.domain.errors import Conflict
from metering.domain.rated import RatedQuantity
from metering.domain.rates import PriceKey
from metering.models import UsageHour, UsagePeriod, UsageState, UsageTotal
from metering.services.rating import customer_rates
from metering.services.rollups import add_usage, forget_empty
from metering.services.usage_deltas import hold


def refuse_changed_rates(
    *, models: Sequence[str], start: datetime, customer_id: int | None = None
) -> None:
    """Raise Conflict `price_in_force` if an hour rated from `start` on now had another rate.

    Called after the change, in its database transaction, with the price book locked or the
    customer's usage locked: raising takes the change back.
    """
    hold()
    totals = UsageTotal.objects.filter(model__in=list(models), quantity__gt=0)
    if customer_id is not None:
        totals = totals.filter(customer_id=customer_id)
    periods = set(totals.values_list("customer_id", "period_id"))
    for row, rate in _rates_now(periods, start, models):
        if rate != row.rate and row.quantity:
            raise Conflict(
                "price_in_force",
                f"usage of {row.model} of {row.hour:%Y-%m-%dT%H:00Z} has been rated already",
            )


def rerate_hours(*, card_id: int, start: datetime) -> None:
    """Rate the hours of a card's periods anew from `start` on. The usage lock must be held."""
    periods = set(
        UsagePeriod.objects.filter(rate_card_id=card_id, ends_at__gt=start).values_list(
            "customer_id", "id"
        )
    )
    hold()
    before, after = [], []
    for row, rate in _rates_now(periods, start, None):
        if rate is not None and rate != row.rate and row.quantity:
            before.append(row._replace(quantity=-row.quantity))
            after.append(row._replace(rate=rate))
    add_usage(rows=before)
    add_usage(rows=after)  # The rows are at zero now, and so take another rate.
    for period_id in {row.period_id for row in before}:
        forget_empty(period_id=period_id)


def _rates_now(
    periods: set[tuple[int, int]], start: datetime, models: Sequence[str] | None
) -> Iterator[tuple[RatedQuantity, Decimal | None]]:
    """The rated hours of periods from `start` on, each with the rate that it would have now."""
    versions = dict(
        UsageState.objects.filter(customer_id__in={one for one, _ in periods}).values_list(
            "customer_id", "terms_version"
        )
    )
    rates = customer_rates(terms_versions=versions)
    for customer_id, period_id in sorted(periods):
        mine = rates[customer_id]
        period = next(one for one in mine.periods if one.id == period_id)
        hours = UsageHour.objects.filter(
            customer_id=customer_id, period_id=period_id, hour__gte=start
        )
        if models is not None:
            hours = hours.filter(model__in=list(models))
        for hour, model, mode, meter, rate, quantity in hours.values_list(
            "hour", "model", "mode", "meter", "rate", "quantity"
        ).iterator(chunk_size=5000):
            found = mine.explain(period, hour, PriceKey(model, mode, meter))
            yield (
                RatedQuantity(
                    customer_id, period_id, hour, model, mode, meter, rate, int(quantity)
                ),
                found.rate if found else None,
            )
