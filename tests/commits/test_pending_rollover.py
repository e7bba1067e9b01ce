"""Pending rollover counts what waits in all quarters that have not closed yet, not in one."""

from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Commit
from commits.services import balances
from tests.commits.world import at, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_quarters_that_wait_roll_into_the_third(acme: Customer, commit: Commit) -> None:
    use(acme, "22000", "2026-02-10", now=at("2026-02-11"))
    use(acme, "31000", "2026-05-10", now=at("2026-05-11"))
    balance = balances.read_balance(customer=acme, now=at("2026-07-02"))
    assert balance.quarter.index == 3
    # 8,000 of Q1 would cover 1,000 of Q2's overage and roll on.
    assert (balance.available, balance.pending_rollover) == (D(30000), D(7000))
