"""The cast: Acme with a signed commit, on a real database, with prices in dollars."""

import pytest

from billing.models import Customer
from commits.models import Commit
from tests.commits import world


@pytest.fixture
def acme(db: None) -> Customer:
    world.dollar_prices()
    return world.make_customer("acme")


@pytest.fixture
def commit(acme: Customer) -> Commit:
    """$30,000 a quarter for four quarters from 2026-01-01 at 20 % off."""
    return world.signed(acme)
