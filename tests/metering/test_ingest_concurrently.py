"""Several agents at once, really at once: nothing doubles, nothing locks up, nothing is lost."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, connections, transaction

from billing.models import Customer
from metering.models import UsageEvent, UsageState
from metering.services import price_book
from metering.services.ingest import IngestResult
from metering.services.proof import rederive_rollups
from tests.metering.conftest import FEB, NOW, list_prices, make_customer, open_terms
from tests.metering.sending import send, tokens, void
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)
WORKERS = 4


@pytest.fixture
def customers() -> Iterator[list[Customer]]:
    list_prices()
    found = [make_customer(key) for key in ("acme", "bolt", "cinder")]
    for customer in found:
        open_terms(customer)
    yield found


def at_once(*tasks: Callable[[], Any]) -> list[Any]:
    """Run the tasks in threads, each with a connection of its own, from one moment on."""
    barrier = Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        try:
            barrier.wait(timeout=30)
            return task()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result(timeout=120) for future in [pool.submit(run, one) for one in tasks]]


def batch(keys: list[str], events: int = 150) -> list[dict[str, Any]]:
    return [tokens(f"e{number}", subject=keys[number % len(keys)]) for number in range(events)]


def test_the_same_batch_from_many_agents_counts_once(customers: list[Customer]) -> None:
    keys = [customer.key for customer in customers]
    forwards, backwards = batch(keys), batch(keys)[::-1]
    results: list[IngestResult] = at_once(
        *(lambda sent=sent: send(*sent) for sent in [forwards, backwards] * (WORKERS // 2))
    )
    assert sum(result.accepted for result in results) == 150
    assert sum(result.duplicates for result in results) == 150 * (WORKERS - 1)
    assert not any(result.refused for result in results)
    assert [used(customer) for customer in customers] == [Decimal("80")] * 3
    assert rederive_rollups() == []


def test_batches_that_overlap_count_each_event_once(customers: list[Customer]) -> None:
    sent = batch(["acme", "bolt"], 200)
    results = at_once(
        lambda: send(*sent[:120]), lambda: send(*sent[80:]), lambda: send(*sent[40:160][::-1])
    )
    assert sum(result.accepted for result in results) == UsageEvent.objects.count() == 200
    assert rederive_rollups() == []


def test_of_two_contents_under_one_id_one_counts(customers: list[Customer]) -> None:
    results = at_once(
        lambda: send(tokens("a", output=1_000_000)), lambda: send(tokens("a", output=2_000_000))
    )
    assert sorted((result.accepted, len(result.refused)) for result in results) == [(0, 1), (1, 0)]
    assert used(customers[0]) in (Decimal("1.6"), Decimal("3.2"))
    assert rederive_rollups() == []


def test_of_many_voids_of_one_event_one_counts(customers: list[Customer]) -> None:
    send(tokens("a"), tokens("b"))
    voids = [void(f"v{number}", "a") for number in range(WORKERS)]
    results = at_once(*(lambda one=one: send(one) for one in voids))
    assert sum(result.accepted for result in results) == 1
    assert {one.code for result in results for one in result.refused} == {"conflict"}
    assert used(customers[0]) == Decimal("1.6")


def test_a_price_and_usage_at_once_leave_nothing_at_an_older_price(
    customers: list[Customer],
) -> None:
    """Whoever comes first: no batch commits without a price that was in force by then."""

    def add() -> None:
        price_book.add_price(
            model="new", mode="serverless", meter="output_tokens", price=Decimal(10),
            effective_at=FEB, actor_name="ada", now=NOW,
        )  # fmt: skip

    def post(agent: int) -> None:
        for number in range(15):
            send(tokens(f"{agent}/{number}", model="new"))

    at_once(add, lambda: post(1), lambda: post(2))
    assert used(customers[0]) == Decimal(8) * 30
    assert rederive_rollups() == []


def test_sequences_count_every_event_of_a_customer(customers: list[Customer]) -> None:

    def post(agent: int) -> None:
        for number in range(5):
            send(*(tokens(f"{agent}/{number}/{place}") for place in range(7)))

    at_once(*(lambda agent=agent: post(agent) for agent in range(WORKERS)))
    acme = customers[0]
    seqs = sorted(UsageEvent.objects.filter(customer=acme).values_list("seq", flat=True))
    assert seqs == list(range(1, 7 * 5 * WORKERS + 1))
    assert UsageState.objects.get(pk=acme.pk).ingest_seq == seqs[-1]


def test_a_deadlock_is_tried_again(customers: list[Customer]) -> None:
    """Someone locks two customers against the order; ingest is the one that PostgreSQL ends."""
    acme, bolt, _ = customers
    held = Barrier(2)

    def against_the_order() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '10s'")
            for customer in (bolt, acme):
                cursor.execute(
                    "SELECT 1 FROM metering_usagestate WHERE customer_id = %s FOR NO KEY UPDATE",
                    [customer.pk],
                )
                if customer is bolt:
                    held.wait(timeout=30)
                    cursor.execute("SELECT pg_sleep(0.3)")

    def post() -> IngestResult:
        held.wait(timeout=30)
        return send(tokens("a"), tokens("b", subject="bolt"))

    _, result = at_once(against_the_order, post)
    assert result.accepted == 2
    assert rederive_rollups() == []


def test_what_is_answered_is_durable(customers: list[Customer]) -> None:
    """Ingest refuses to run inside somebody's transaction, whose end it could not vouch for."""
    with pytest.raises(RuntimeError), transaction.atomic():
        send(tokens("a"))
    assert not UsageEvent.objects.exists()
    assert send(tokens("a"), now=NOW + timedelta(days=1)).accepted == 1
