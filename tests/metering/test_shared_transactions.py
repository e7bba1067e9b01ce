"""Requests that wait at the same moment share a transaction, and nothing else."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.db import DataError

from billing.models import Customer
from metering.models import UsageEvent
from metering.services import intake, storing
from metering.services.batches import Batch, IngestResult
from metering.services.proof import rederive_rollups
from tests.metering.conftest import list_prices, make_customer, open_terms
from tests.metering.sending import codes, send, tokens, void
from tests.metering.test_ingest_concurrently import at_once
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme() -> Iterator[Customer]:
    list_prices()
    customer = make_customer("acme")
    open_terms(customer, discount="0")
    yield customer


class Held:
    """Lets the first transaction wait until the others stand in the queue behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, others: int) -> None:
        self.sizes: list[int] = []
        self._store, self._others, self._is_first = storing.store, others, True
        self._lock = threading.Lock()
        self.queue = intake.Intake()
        monkeypatch.setattr("metering.services.ingest.intake", self.queue)
        monkeypatch.setattr(storing, "store", self)

    def __call__(self, batches: Sequence[Batch]) -> list[IngestResult]:
        with self._lock:
            is_first, self._is_first = self._is_first, False
        deadline = threading.Event()
        while is_first and len(self.queue._queue) < self._others:
            assert not deadline.wait(0.005)
        self.sizes.append(len(batches))
        return self._store(batches)


def test_each_request_is_told_what_became_of_its_own(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, others=3)
    bad = tokens("x", subject="nobody")
    sent: list[list[dict[str, Any]]] = [
        [tokens("a"), tokens("b")],
        [tokens("b"), tokens("c")],
        [bad, tokens("d", output=5), tokens("d", output=6)],
        [tokens("a"), void("v", "a"), tokens("e", model="unheard-of")],
    ]
    results: list[IngestResult] = at_once(*(lambda one=one: send(*one) for one in sent))
    assert held.sizes == [1, 3, 1, 1, 1]  # A key that comes twice: each alone, in its order.
    assert sum(result.accepted for result in results) == UsageEvent.objects.count()
    assert sum(result.duplicates for result in results) == 2
    assert codes(results[2]) == [(0, "unknown_customer"), (2, "conflict")]
    assert (results[3].unrated, results[0].refused, results[1].refused) == (1, [], [])
    assert rederive_rollups() == []


def test_where_the_joint_transaction_fails_each_is_tried_alone(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, others=3)
    store = held._store

    def no_two(batches: Sequence[Batch]) -> list[IngestResult]:
        if len(batches) > 1 or "poison" in batches[0].columns.ids:
            raise DataError("not these")
        return store(batches)

    held._store = no_two

    def post(name: str) -> IngestResult | str:
        try:
            return send(tokens(name))
        except DataError as error:
            return str(error)

    answers = at_once(*(lambda one=one: post(one) for one in ("a", "b", "poison", "c")))
    assert answers[2] == "not these"
    assert [one.accepted for one in answers if not isinstance(one, str)] == [1, 1, 1]
    assert used(acme) == 6
    assert send(tokens("d")).accepted == 1  # and the queue goes on
