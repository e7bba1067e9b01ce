"""Changes of the price book: dated list prices and meters, with their trace in the audit trail.

A price counts from a whole UTC hour until the next of its kind. It may be dated back, but never so
that an amount already rated changes; usage that waited for it is rated in the same database
transaction. The whole book is locked for a change, so no batch is rated by an older one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction

from billing.domain.errors import Conflict, InvalidInput
from billing.domain.money import plain
from billing.domain.text import has_control_characters
from billing.models import Customer
from billing.services import audit
from metering.models import Meter, Price, UnratedUsage
from metering.services.book_snapshot import count_up_version, lock_price_book
from metering.services.quotes import check_price
from metering.services.rerating import refuse_changed_rates
from metering.services.unrated import rate_waiting_usage
from metering.services.usage_lock import lock_usage


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A list price per million tokens, per GPU-hour, or per unit. `model` may be a GPU sku."""

    model: str
    mode: str
    meter: str
    price: Decimal
    effective_at: datetime


def add_price(
    *,
    model: str,
    mode: str,
    meter: str,
    price: Decimal,
    effective_at: datetime,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
    source: str = "",
) -> Price:
    """Put one list price into the book. A price of the same instant is replaced.

    Raises InvalidInput (see `check_price`) and Conflict `price_in_force`.
    """
    asked = NewPrice(model, mode, meter, price, effective_at)
    add_prices(prices=[asked], actor=actor, actor_name=actor_name, now=now, source=source)
    return Price.objects.get(
        model=model, mode=mode, meter_id=meter, customer=None, effective_at=effective_at
    )


def add_prices(
    *,
    prices: Sequence[NewPrice],
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
    source: str = "",
    customer: Customer | None = None,
) -> int:
    """Put list prices into the book, all or none: how many were new or replaced another.

    With a customer they are private prices of that customer, and concern nobody else. One that
    stands there already changes nothing. Raises what `add_price` raises.
    """
    for one in prices:
        check_price(
            model=one.model,
            mode=one.mode,
            meter=one.meter,
            price=one.price,
            effective_at=one.effective_at,
        )
    with transaction.atomic():
        lock_price_book()
        changed = [one for one in prices if _write(one, customer, actor, actor_name, source, now)]
        if not changed:
            return 0
        count_up_version()
        models = sorted({one.model for one in changed})
        waiting = UnratedUsage.objects.filter(resolved_at=None, model__in=models)
        if customer is not None:
            waiting = waiting.filter(customer=customer)
        refuse_changed_rates(
            models=models,
            start=min(one.effective_at for one in changed),
            customer_id=customer.pk if customer else None,
        )
        customer_ids = sorted(set(waiting.order_by().values_list("customer_id", flat=True)))
        lock_usage(customer_ids=customer_ids)
        rate_waiting_usage(customer_ids=customer_ids, models=models, now=now)
        return len(changed)


def _write(
    one: NewPrice,
    customer: Customer | None,
    actor: AbstractBaseUser | None,
    actor_name: str,
    source: str,
    now: datetime,
) -> bool:
    named: dict[str, Any] = {
        "model": one.model,
        "mode": one.mode,
        "meter_id": one.meter,
        "customer": customer,
        "effective_at": one.effective_at,
    }
    known = Price.objects.filter(**named).first()
    if known is not None and known.price == one.price:
        return False
    former = known.price if known is not None else None
    written = known or Price(**named)
    written.price, written.source = one.price, source
    written.created_at, written.created_by = now, actor_name
    written.save()
    audit.record(
        at=now,
        actor=actor,
        actor_name=actor_name,
        action="add_price" if former is None else "replace_price",
        object_type="price",
        object_ref=str(written.pk),
        customer_key=customer.key if customer else "",
        details={
            "model": one.model,
            "mode": one.mode,
            "meter": one.meter,
            "price": plain(one.price),
            "replaces": plain(former) if former is not None else None,
            "effective_at": one.effective_at.isoformat(),
            "source": source,
        },
    )
    return True


def add_meter(
    *,
    key: str,
    unit: str,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> Meter:
    """Define a meter that is priced per single unit. Usage may carry it from now on.

    Raises InvalidInput `invalid_meter` and Conflict `meter_exists`.
    """
    meter = Meter(key=key, unit=unit, units_per_price=1)
    try:
        meter.clean_fields()
    except ValidationError as error:
        raise InvalidInput("invalid_meter", "; ".join(error.messages)) from error
    if has_control_characters(unit):
        raise InvalidInput("invalid_meter", "a unit has no line breaks or other control characters")
    with transaction.atomic():
        lock_price_book()
        if Meter.objects.filter(key=key).exists():
            raise Conflict("meter_exists", f"there is a meter {key!r} already")
        meter.save(force_insert=True)
        count_up_version()
        audit.record(
            at=now,
            actor=actor,
            actor_name=actor_name,
            action="add_meter",
            object_type="meter",
            object_ref=key,
            details={"unit": unit},
        )
    return meter
