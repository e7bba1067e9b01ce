"""Usage is written before its customers are locked, and only counts at terms that are in force."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from billing.models import Customer
from metering.models import UnratedUsage, UsageState
from metering.services import price_book, storing, usage_deltas
from metering.services.proof import rederive_rollups
from tests.metering.conftest import JAN, MAR, NOW, list_prices, make_customer, open_terms
from tests.metering.sending import send, tokens
from tests.metering.test_ingest_concurrently import at_once
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> Iterator[Customer]:
    list_prices()
    customer = make_customer("acme")
    open_terms(customer, ends_at=MAR)
    send(tokens("first"))  # From here on its rates are known to this process.
    yield customer


def between(monkeypatch: pytest.MonkeyPatch, change: Any) -> list[int]:
    """Let `change` happen once, after usage was rated and before it is numbered."""
    times: list[int] = []
    note = usage_deltas.note_usage

    def noted(**given: Any) -> None:
        note(**given)
        times.append(len(given["rows"]))
        if len(times) == 1:
            at_once(change)  # In another thread, and so on another connection.

    monkeypatch.setattr(storing, "note_usage", noted)
    return times


def test_a_price_that_arrives_meanwhile_rates_what_would_have_waited(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def price() -> None:
        price_book.add_price(
            model="new", mode="serverless", meter="output_tokens", price=Decimal(5),
            effective_at=JAN, actor_name="ada", now=NOW,
        )  # fmt: skip

    times = between(monkeypatch, price)
    result = send(tokens("a", model="new"), tokens("b"))
    assert (result.accepted, result.unrated) == (2, 0)
    assert times == [1, 2]
    assert used(acme) == Decimal("1.6") * 2 + Decimal(4)
    assert not UnratedUsage.objects.exists()
    assert rederive_rollups() == []


def test_terms_that_begin_meanwhile_count(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    late = "2026-03-02T10:00:00Z"
    times = between(monkeypatch, lambda: open_terms(acme, MAR, discount="0.5"))
    result = send(tokens("a", time=late), now=datetime(2026, 3, 3, tzinfo=UTC))
    assert (result.accepted, result.unrated) == (1, 0)
    assert times == [0, 1]
    assert used(acme) == Decimal("1.6") + 1
    assert rederive_rollups() == []


def test_sequence_numbers_go_on_without_a_gap(acme: Customer) -> None:
    bolt = make_customer("bolt")
    open_terms(bolt)
    sent = [tokens(f"e{number}", subject=("acme", "bolt")[number % 2]) for number in range(40)]
    at_once(*(lambda part=part: send(*sent[part::4]) for part in range(4)))
    assert UsageState.objects.get(customer=acme).ingest_seq == 21
    assert UsageState.objects.get(customer=bolt).ingest_seq == 20
    assert rederive_rollups() == []
