"""A cast, and browsers that are logged in as one of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from billing.services import invoice_push
from tests.faces import world
from tests.faces.world import Cast
from tests.stripe_simulator.simulator import StripeSimulator

LogIn = Callable[[str], Client]


@pytest.fixture
def cast(db: None) -> Cast:
    return world.build()


@pytest.fixture
def log_in(cast: Cast) -> LogIn:
    """A client of its own for a user's name."""

    def as_user(name: str) -> Client:
        client = Client()
        client.force_login(User.objects.get(username=name))
        return client

    return as_user


@pytest.fixture
def pushed(cast: Cast, settings: Settings) -> Iterator[Cast]:
    """The cast, after its invoices have been finalized at the simulated Stripe."""
    with StripeSimulator() as stripe:
        settings.STRIPE_API_KEY = "sk_test_simulator"
        settings.STRIPE_API_BASE = stripe.url
        assert invoice_push.push_due_invoices(now=world.NOW) > 0
        yield cast
