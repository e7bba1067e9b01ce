"""A customer or two, prices, and a commit's terms without a commit: what metering's tests share."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from billing.models import Customer
from metering.domain.meters import BUILT_IN_METERS
from metering.models import Meter, Price, RateCard, UsagePeriod
from metering.services import rate_cards
from metering.services.book_snapshot import count_up_version

JAN, FEB, MAR, APR = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))
NOW = datetime(2026, 2, 10, 12, tzinfo=UTC)


@pytest.fixture
def acme(db: None) -> Customer:
    return make_customer("acme")


@pytest.fixture
def bolt(db: None) -> Customer:
    return make_customer("bolt")


def make_customer(key: str) -> Customer:
    return Customer.objects.create(
        key=key, name=key.title(), email=f"{key}@example.com", created_at=JAN
    )


PRICES = [
    ("llama", "serverless", "input_tokens", "1"),
    ("llama", "serverless", "cached_input_tokens", "0.5"),
    ("llama", "serverless", "output_tokens", "2"),
    ("h100", "dedicated", "gpu_seconds", "3.6"),
    ("flux", "serverless", "images", "0.04"),
]


@pytest.fixture
def prices(db: None) -> None:
    """List prices in force since January: per million tokens, per GPU-hour, per image."""
    list_prices()


def list_prices() -> None:
    # A test that commits is followed by emptied tables, the built-in meters among them.
    for spec in BUILT_IN_METERS:
        Meter.objects.get_or_create(
            key=spec.key, defaults={"unit": spec.unit, "units_per_price": spec.units_per_price}
        )
    Meter.objects.get_or_create(key="images", defaults={"unit": "image"})
    for model, mode, meter, price in PRICES:
        Price.objects.create(
            model=model, mode=mode, meter_id=meter, price=Decimal(price), effective_at=JAN,
            created_at=JAN, created_by="test",
        )  # fmt: skip
    count_up_version()


def open_terms(
    customer: Customer,
    starts_at: datetime = JAN,
    ends_at: datetime = APR,
    discount: str = "0.2",
    card: RateCard | None = None,
    protected: bool = True,
) -> UsagePeriod:
    """What a commit does with metering when it is activated."""
    card = card or rate_cards.create_rate_card(
        customer_id=customer.pk,
        protected_from=starts_at if protected else None,
        discount=Decimal(discount),
        starts_at=starts_at,
    )
    return rate_cards.open_period(
        customer_id=customer.pk, card_id=card.pk, starts_at=starts_at, ends_at=ends_at, now=NOW
    )
