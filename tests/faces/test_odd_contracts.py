"""The customer's pages for contracts that are not like the others."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.test import Client

from billing.models import Customer, CustomerLogin
from commits.domain.terms import CommitTerms
from commits.services import closes, signing
from tests.commits.world import at, dollar_prices, make_customer, signed, use

PAGES = ("/", "/usage/", "/quarters/", "/invoices/", "/true-ups/")


@pytest.fixture(autouse=True)
def _prices(db: None) -> None:
    dollar_prices()


def visit(customer: Customer, monkeypatch: pytest.MonkeyPatch, now: str) -> dict[str, str]:
    """Every page of a customer at an instant, as text."""
    monkeypatch.setattr("billing.services.clock.now", lambda: at(now))
    user = User.objects.create_user(f"{customer.key}-user")
    CustomerLogin.objects.create(user=user, customer=customer)
    client = Client()
    client.force_login(user)
    found = {}
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        found[path] = answer.content.decode()
    return found


def test_no_commit_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = visit(make_customer(), monkeypatch, "2026-02-01")
    assert "There is no commit in force yet" in pages["/"]
    assert "Only an active commit can be increased" in pages["/true-ups/"]


def test_a_commit_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_customer()
    signed(acme, starts_on=date(2026, 7, 1))
    pages = visit(acme, monkeypatch, "2026-02-01")
    assert "$30,000.00" in pages["/"]


def test_uncommitted_and_billed_by_the_month(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_customer()
    terms = CommitTerms(
        customer_key="acme",
        starts_on=date(2026, 1, 1),
        quarters=None,
        instalments=(),
        discount=Decimal(0),
        period_months=1,
    )
    commit = signing.create_commit(terms=terms, actor="ada", now=at("2025-12-01"))
    signing.activate_commit(commit_id=commit.pk, actor="ada", now=at("2025-12-01"))
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    pages = visit(acme, monkeypatch, "2026-01-20")
    assert "Period 1" in pages["/"] and "$125.00" in pages["/"]
    assert "None: all usage of this quarter is billed in arrears." in pages["/"]


def test_quarters_that_begin_on_a_half_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_customer(zone="Asia/Kolkata")
    signed(acme)
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    pages = visit(acme, monkeypatch, "2026-02-01")
    assert "2025-12-31 18:30 UTC" in pages["/"] and "$100.00" in pages["/usage/"]


def test_after_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_customer()
    signed(acme, instalments=("100",))
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    for when in ("2026-04-04", "2026-07-04"):
        closes.run_closes(as_of=at(when), now=at(when))
    pages = visit(acme, monkeypatch, "2026-09-01")
    assert "None is to come: everything has been billed." in pages["/"]
    assert "Ended." in pages["/quarters/"]


def test_the_day_of_a_close_in_grace_shows_what_will_roll(monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_customer()
    signed(acme)
    use(acme, "22000", "2026-01-10", now=at("2026-01-11"))
    use(acme, "31000", "2026-04-01T05:00", now=at("2026-04-01T06:00"))
    pages = visit(acme, monkeypatch, "2026-04-02")
    assert "Still to roll over" in pages["/"] and "$8,000.00" in pages["/"]
    assert "$1,000.00" in pages["/"], "what the quarter before has not covered yet"
