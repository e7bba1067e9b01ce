"""Periods and rate cards: whose usage is rated when, and at which terms.

Written by whoever promised the terms (commits), read by rating. Every change happens under the
usage lock, gives the customer's terms a new version, and leaves rated what now can be.
Instants of terms are whole UTC hours; periods are half-open and may begin at a quarter of an hour,
because contracts begin at midnight of their own time zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import IntegrityError, connection, transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound
from metering.models import (
    RateCard,
    RateDiscount,
    RateOverride,
    UnratedUsage,
    UsageHour,
    UsagePeriod,
)
from metering.services.quotes import check_price, require_whole_hour
from metering.services.rating import hour_of
from metering.services.rerating import refuse_changed_rates, rerate_hours
from metering.services.rollups import forget_empty
from metering.services.unrated import detach_usage, rate_waiting_usage
from metering.services.usage_lock import lock_usage, renew_terms

__all__ = [
    "Override",
    "add_override",
    "create_rate_card",
    "cut_period",
    "drop_period",
    "lock_usage",
    "open_period",
    "set_discount",
]


@dataclass(frozen=True, slots=True)
class Override:
    """A fixed price for exactly one (model or sku, mode, meter), quoted as list prices are."""

    model: str
    mode: str
    meter: str
    price: Decimal
    effective_at: datetime


def create_rate_card(
    *,
    customer_id: int,
    protected_from: datetime | None,
    discount: Decimal,
    starts_at: datetime,
    overrides: Sequence[Override] = (),
) -> RateCard:
    """The terms of a commit that starts at `starts_at`, with its discount from there on.

    An override agreed for the start counts from the hour that the start lies in: the card rates
    nothing before it. Raises InvalidInput for a price, meter, mode or hour that cannot be.
    """
    card = RateCard.objects.create(customer_id=customer_id, protected_from=protected_from)
    RateDiscount.objects.create(card=card, discount=discount, effective_at=starts_at)
    for override in overrides:
        at = override.effective_at
        _insert_override(
            card.pk,
            override.model,
            override.mode,
            override.meter,
            override.price,
            hour_of(at) if at == starts_at else at,
        )
    return card


def set_discount(*, card_id: int, discount: Decimal, effective_at: datetime) -> None:
    """A better discount of a rate card, from a whole UTC hour on.

    Usage timed after it that came early (events may be five minutes ahead) is rated anew. Of
    several discounts the best that has come into force counts. Raises InvalidInput, NotFound.
    """
    require_whole_hour(effective_at)
    with transaction.atomic():
        card = _lock_card(card_id)
        known, is_new = RateDiscount.objects.get_or_create(
            card=card, effective_at=effective_at, defaults={"discount": discount}
        )
        if not is_new and known.discount < discount:
            known.discount = discount
            known.save(update_fields=["discount"])
        renew_terms(card.customer_id)
        rerate_hours(card_id=card_id, start=effective_at)


def add_override(
    *,
    card_id: int,
    model: str,
    mode: str,
    meter: str,
    price: Decimal,
    effective_at: datetime,
    now: datetime,
) -> RateOverride:
    """Fix the price of one (model or sku, mode, meter) from a whole UTC hour on.

    It may be in the past as long as no rated amount changes; usage that waited for a price is
    rated. Raises InvalidInput, NotFound, Conflict `price_in_force` or `price_exists`.
    """
    with transaction.atomic():
        card = _lock_card(card_id)
        override = _insert_override(card_id, model, mode, meter, price, effective_at)
        renew_terms(card.customer_id)
        refuse_changed_rates(models=[model], start=effective_at, customer_id=card.customer_id)
        rate_waiting_usage(customer_ids=[card.customer_id], models=[model], now=now)
        return override


def _insert_override(
    card_id: int, model: str, mode: str, meter: str, price: Decimal, effective_at: datetime
) -> RateOverride:
    check_price(model=model, mode=mode, meter=meter, price=price, effective_at=effective_at)
    try:
        with transaction.atomic():
            return RateOverride.objects.create(
                card_id=card_id,
                model=model,
                mode=mode,
                meter_id=meter,
                price=price,
                effective_at=effective_at,
            )
    except IntegrityError as error:
        raise Conflict("price_exists", "there is an override of that instant already") from error


def open_period(
    *, customer_id: int, card_id: int, starts_at: datetime, ends_at: datetime, now: datetime
) -> UsagePeriod:
    """Let a card rate the usage timed in `[starts_at, ends_at)`, what waits for it included.

    Raises InvalidInput for bounds that are no quarters of an hour, Conflict `period_overlaps`.
    """
    for bound in (starts_at, ends_at):
        if bound.minute % 15 or bound.second or bound.microsecond:
            raise InvalidInput("not_a_quarter_hour", f"a period cannot begin or end at {bound}")
    with transaction.atomic():
        lock_usage(customer_ids=[customer_id])
        try:
            with transaction.atomic():
                period = UsagePeriod.objects.create(
                    customer_id=customer_id,
                    rate_card_id=card_id,
                    starts_at=starts_at,
                    ends_at=ends_at,
                )
        except IntegrityError as error:
            raise Conflict("period_overlaps", "usage of that time has terms already") from error
        renew_terms(customer_id)
        rate_waiting_usage(customer_ids=[customer_id], start=starts_at, end=ends_at, now=now)
        return period


def cut_period(*, period_id: int, ends_at: datetime, now: datetime) -> UsagePeriod:
    """End a period earlier. Usage after it waits again, or is rated by the period that covers it.

    Raises InvalidInput `not_a_cut` unless the new end lies inside the period.
    """
    with transaction.atomic():
        period = _lock_period(period_id)
        if not period.starts_at < ends_at <= period.ends_at:
            raise InvalidInput("not_a_cut", "a period is cut inside itself")
        former = period.ends_at
        period.ends_at = ends_at
        UsagePeriod.objects.filter(pk=period_id).update(ends_at=ends_at)
        _take_out(period, ends_at, former, now)
        return period


def drop_period(*, period_id: int, now: datetime) -> None:
    """Remove a period that never came to count: its usage waits again. Raises NotFound."""
    with transaction.atomic():
        period = _lock_period(period_id)
        _take_out(period, period.starts_at, period.ends_at, now)
        if UsageHour.objects.filter(customer_id=period.customer_id, period_id=period_id).exists():
            raise Conflict("period_in_use", "rated usage still belongs to the period")
        UnratedUsage.objects.filter(period_id=period_id).update(period=None)
        with connection.cursor() as cursor:  # The ORM would look through all rollups for it.
            cursor.execute("DELETE FROM metering_usageperiod WHERE id = %s", [period_id])
        renew_terms(period.customer_id)


def _take_out(period: UsagePeriod, start: datetime, end: datetime, now: datetime) -> None:
    """`period` is cut in the database already, or about to be deleted."""
    if start < end:
        detach_usage(
            customer_id=period.customer_id, period_id=period.pk, start=start, end=end, now=now
        )
        forget_empty(period_id=period.pk)
    renew_terms(period.customer_id)
    if start > period.starts_at:
        rate_waiting_usage(customer_ids=[period.customer_id], start=start, end=end, now=now)


def _lock_card(card_id: int) -> RateCard:
    card = RateCard.objects.filter(pk=card_id).first()
    if card is None:
        raise NotFound("unknown_rate_card", f"no rate card {card_id}")
    lock_usage(customer_ids=[card.customer_id])
    return card


def _lock_period(period_id: int) -> UsagePeriod:
    """The period as it is once the usage of its customer is locked."""
    period = UsagePeriod.objects.filter(pk=period_id).first()
    if period is not None:
        lock_usage(customer_ids=[period.customer_id])
        period = UsagePeriod.objects.filter(pk=period_id).first()
    if period is None:
        raise NotFound("unknown_period", f"no usage period {period_id}")
    return period
