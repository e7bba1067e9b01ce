"""A list price that fills a gap rates waiting usage, and the next drawdown books it."""

from datetime import date, datetime
from decimal import Decimal as D

import pytest

from billing.models import Customer, JournalEntry
from commits.models import Close, Commit
from commits.services import balances, closes, daily, explain, proof
from commits.services.explained import explained_share
from metering.services import price_book
from tests.commits.world import at, send, use

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


def fill(now: datetime) -> None:
    price_book.add_price(
        model="new",
        mode="serverless",
        meter="dollars",
        price=D("2.50"),
        effective_at=at("2026-01-01"),
        actor_name="ada",
        now=now,
    )


def test_it_is_booked_without_another_event(acme: Customer, commit: Commit) -> None:
    unpriced(acme)
    assert balances.read_balance(customer=acme, now=at("2026-02-02")).unrated_events == 1
    assert daily.stale_origins() == []
    fill(at("2026-02-03"))
    balance = balances.read_balance(customer=acme, now=at("2026-02-03"))
    assert (balance.used, balance.unrated_events) == (D(80), 0)
    assert daily.draw_down(now=at("2026-02-03")) == 1
    assert proof.commit_problems() == []
    assert daily.stale_origins() == []


def test_what_a_job_books_that_is_made_up_for_is_explained(acme: Customer, commit: Commit) -> None:
    unpriced(acme)
    fill(at("2026-02-03T09:00"))
    daily.run_daily(now=at("2026-02-03"))
    assert explained_share().problems == ()
    [entry] = JournalEntry.objects.filter(usage_date=date(2026, 2, 1))
    for posting in entry.postings.all():
        usage = explain.explain_posting(id=posting.pk).usage
        assert usage is not None
        assert (usage.agrees, usage.recomputed) == (True, D(80))


def test_what_was_booked_before_is_explained_without_it(acme: Customer, commit: Commit) -> None:
    use(acme, "10", "2026-02-01T05:00", now=at("2026-02-01T06:00"))
    unpriced(acme)
    daily.draw_down(now=at("2026-02-03T09:00"))
    fill(at("2026-02-03T08:59"))
    assert explained_share().problems == ()
    daily.draw_down(now=at("2026-02-03T09:01"))
    entries = JournalEntry.objects.filter(usage_date=date(2026, 2, 1)).order_by("pk")
    found = [explain.explain_posting(id=one.postings.all()[0].pk).usage for one in entries]
    assert [usage.recomputed for usage in found if usage] == [D(10), D(80)]
    assert explained_share().problems == ()


def test_until_then_it_blocks_the_close(acme: Customer, commit: Commit) -> None:
    unpriced(acme)
    rows = closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"), actor="ada")
    assert [row.needs_human[0].partition(":")[0] for row in rows] == ["unrated_usage"]
    closes.run_closes(as_of=at("2026-04-05"), now=at("2026-04-05"))
    assert [close.planned_by for close in Close.objects.all()] == ["ada"]
