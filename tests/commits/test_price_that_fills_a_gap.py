"""A list price that fills a gap rates waiting usage, and the next drawdown books it."""

from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Close, Commit
from commits.services import balances, closes, daily, proof
from metering.services import price_book
from tests.commits.world import at, send

pytestmark = pytest.mark.django_db(transaction=True)


def unpriced(acme: Customer) -> None:
    event = {
        "specversion": "1.0",
        "id": "waits",
        "source": "test",
        "subject": acme.key,
        "time": "2026-02-01T00:00:00Z",
        "type": "inference.usage",
        "data": {"model": "new", "mode": "serverless", "quantities": {"dollars": 40}},
    }
    send([event], now=at("2026-02-01"))
    daily.draw_down(now=at("2026-02-01"))


def test_it_is_booked_without_another_event(acme: Customer, commit: Commit) -> None:
    unpriced(acme)
    assert balances.read_balance(customer=acme, now=at("2026-02-02")).unrated_events == 1
    assert daily.stale_origins() == []
    price_book.add_price(
        model="new",
        mode="serverless",
        meter="dollars",
        price=D("2.50"),
        effective_at=at("2026-01-01"),
        actor_name="ada",
        now=at("2026-02-03"),
    )
    balance = balances.read_balance(customer=acme, now=at("2026-02-03"))
    assert (balance.used, balance.unrated_events) == (D(80), 0)
    assert daily.draw_down(now=at("2026-02-03")) == 1
    assert proof.commit_problems() == []
    assert daily.stale_origins() == []


def test_until_then_it_blocks_the_close(acme: Customer, commit: Commit) -> None:
    unpriced(acme)
    rows = closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"), actor="ada")
    assert [row.needs_human[0].partition(":")[0] for row in rows] == ["unrated_usage"]
    closes.run_closes(as_of=at("2026-04-05"), now=at("2026-04-05"))
    assert [close.planned_by for close in Close.objects.all()] == ["ada"]
