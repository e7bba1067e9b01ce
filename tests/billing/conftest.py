"""Acme in the database, callers of the API with their keys, and a Stripe of our own."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings
from rest_framework.test import APIClient

from billing.models import Customer, Invoice
from billing.services import proof
from tests.billing import cast
from tests.billing.stripe_steps import push_until_done
from tests.stripe_simulator import StripeSimulator

Caller = Callable[[str], APIClient]


@pytest.fixture
def acme(db: None) -> Customer:
    return cast.make_customer("acme")


@pytest.fixture
def caller() -> Caller:
    """A client that sends this key with every request."""

    def with_key(key: str) -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        return client

    return with_key


@pytest.fixture
def finance(db: None, caller: Caller) -> APIClient:
    return caller(cast.finance_key())


@pytest.fixture
def stripe_world(transactional_db: None, settings: Settings) -> Iterator[StripeSimulator]:
    """Stripe over HTTP; whatever a test did, the books hold and no answer broke Stripe's schema."""
    with StripeSimulator() as simulator:
        settings.STRIPE_API_KEY = "sk_test_simulator"
        settings.STRIPE_API_BASE = simulator.url
        settings.STRIPE_WEBHOOK_SECRETS = ["whsec_old", "whsec_new"]
        yield simulator
        assert simulator.violations() == []
    assert proof.ledger_problems() == []


@pytest.fixture
def ada(stripe_world: StripeSimulator, caller: Caller) -> APIClient:
    return caller(cast.finance_key("ada"))


@pytest.fixture
def ben(stripe_world: StripeSimulator, caller: Caller) -> APIClient:
    return caller(cast.finance_key("ben"))


@pytest.fixture
def issued(stripe_world: StripeSimulator, acme: Customer) -> Invoice:
    """$30,000 in advance for Q2 and $3,500 of overage, open at Stripe."""
    invoice = cast.make_invoice(acme)
    push_until_done(invoice)
    invoice.refresh_from_db()
    return invoice
