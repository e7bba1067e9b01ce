"""Private prices: a list price that one customer alone sees, agreed by two people.

A fine-tuned model is the usual case. Once approved it is a list price like any other: the commit's
discount applies, protection caps it at its first appearance, missing modes are filled from it, and
usage that waited for it is rated. It may not change an amount already rated.
"""

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet

from billing.models import Customer
from billing.services import two_people
from metering.models import Price, PrivatePriceRequest
from metering.services.price_book import NewPrice, add_prices
from metering.services.quotes import check_price


def request_private_price(
    *,
    customer: Customer,
    price: NewPrice,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> PrivatePriceRequest:
    """Store a request; it prices nothing yet. Raises InvalidInput (see `check_price`)."""
    check_price(
        model=price.model,
        mode=price.mode,
        meter=price.meter,
        price=price.price,
        effective_at=price.effective_at,
    )
    asked = PrivatePriceRequest(
        id=uuid4(),
        customer=customer,
        model=price.model,
        mode=price.mode,
        meter_id=price.meter,
        price=price.price,
        effective_at=price.effective_at,
    )
    with transaction.atomic():
        return two_people.ask(asked, actor=actor, actor_name=actor_name, now=now)


def approve_private_price(
    *, request_id: UUID, actor_name: str, now: datetime, actor: AbstractBaseUser | None = None
) -> PrivatePriceRequest:
    """Put the price into the book, for this customer alone. Again answers with the approved one.

    Raises NotPermitted `maker_is_checker`; Conflict `not_open`, `price_in_force`; NotFound.
    """
    with transaction.atomic():
        asked = _locked(request_id)
        if not two_people.may_approve(asked, actor_name=actor_name):
            return asked
        # First: the price book takes a private price only once it is agreed.
        two_people.approve(asked, actor=actor, actor_name=actor_name, now=now)
        price = NewPrice(
            asked.model, asked.mode, asked.meter_id, Decimal(asked.price), asked.effective_at
        )
        add_prices(
            prices=[price], customer=asked.customer, actor=actor, actor_name=actor_name, now=now
        )
    return asked


def reject_private_price(
    *,
    request_id: UUID,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> PrivatePriceRequest:
    """Decline a request. Doing it again returns the rejected one. Raises Conflict, NotFound."""
    with transaction.atomic():
        return two_people.reject(
            _locked(request_id), actor=actor, actor_name=actor_name, now=now, why=why
        )


def private_prices_of(*, customer: Customer) -> QuerySet[Price]:
    """The private prices of one customer, by model and instant."""
    return Price.objects.filter(customer=customer).select_related("meter")


def _locked(request_id: UUID) -> PrivatePriceRequest:
    return two_people.find(PrivatePriceRequest, request_id, lock=True, related=("customer",))
