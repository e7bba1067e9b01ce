"""List prices for the proof, added as finance adds them."""

from __future__ import annotations

from datetime import datetime

from metering.models import Meter
from metering.services import price_book
from tests.oracle.prices import units_quoted
from tests.oracle.terms import Price
from tests.prove.translation import decimal_of


def add_price(price: Price, now: datetime) -> None:
    """Add a list price, and its meter where it is new.

    The meters of the first migration are gone where another test has emptied the tables before.
    """
    if not Meter.objects.filter(key=price.meter).exists():
        Meter.objects.create(
            key=price.meter, unit=price.meter, units_per_price=units_quoted(price.meter)
        )
    price_book.add_price(
        model=price.model,
        mode=price.mode,
        meter=price.meter,
        price=decimal_of(price.price),
        effective_at=price.effective_at,
        actor_name="ada",
        now=now,
    )
