"""Usage that goes to another period, or gets a price, is booked at once: no event tells of it."""

from datetime import date
from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Commit
from commits.services import daily, overrides, proof
from metering.services.rate_cards import Override
from tests.commits.world import at, send, signed, trial_balance, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_signed_commit_takes_usage_from_the_uncommitted_period(acme: Customer) -> None:
    signed(acme, instalments=(), discount=D(0))
    use(acme, "10", "2026-02-11", now=at("2026-02-11"))
    daily.draw_down(now=at("2026-02-11"))
    assert trial_balance(acme) == {"overage_revenue": D("-12.5"), "unbilled_receivable": D("12.5")}
    signed(acme, starts_on=date(2026, 2, 10), instalments=("100",), now=at("2026-02-12"))
    assert trial_balance(acme) == {"deferred_revenue": D(10), "usage_revenue": D(-10)}
    assert proof.commit_problems() == []


def test_a_price_of_its_own_rates_and_books_what_waited(acme: Customer, commit: Commit) -> None:
    event = {
        "specversion": "1.0", "id": "w1", "source": "test", "subject": "acme",
        "time": "2026-02-11T00:00:00Z", "type": "inference.usage",
        "data": {"model": "own", "mode": "serverless", "quantities": {"dollars": 3}},
    }  # fmt: skip
    send([event], now=at("2026-02-11"))
    daily.draw_down(now=at("2026-02-12"))
    asked = overrides.request_override(
        commit_id=commit.pk,
        override=Override("own", "serverless", "dollars", D(2), at("2026-01-01")),
        actor="ada",
        now=at("2026-02-13"),
    )
    overrides.approve_override(request_id=asked.pk, actor="ben", now=at("2026-02-13"))
    assert trial_balance(acme) == {"deferred_revenue": D(6), "usage_revenue": D(-6)}
    assert proof.commit_problems() == []
