"""What usage added is counted from its commit on, whether it has been folded in or not."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection

from billing.domain.errors import InvariantViolation
from billing.models import Customer
from metering.models import DailyUsage, HourlyUsage, UsageHour
from metering.services import cross_checks, totals, usage_deltas, usage_reports
from metering.services.proof import rederive_rollups
from tests.metering.conftest import FEB, NOW, list_prices, make_customer, open_terms
from tests.metering.sending import event, send, tokens, void
from tests.metering.test_ingest_concurrently import at_once
from tests.metering.test_ingest_once import used

pytestmark = pytest.mark.django_db(transaction=True)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def acme() -> Iterator[Customer]:
    list_prices()
    customer = make_customer("acme")
    open_terms(customer)
    yield customer


def pending() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metering_usagedelta")
        return int(cursor.fetchone()[0])


def gpu(event_id: str, seconds: int, busy: int) -> dict[str, Any]:
    data = {"sku": "h100", "mode": "dedicated", "gpu_seconds": seconds, "busy_gpu_seconds": busy}
    return event(event_id, "gpu", data)


def everything_read(customer: Customer) -> list[Any]:
    """What every reader of rollups says."""
    [period] = customer.usage_periods.values_list("id", flat=True)
    window: dict[str, Any] = {"customer_id": customer.pk, "start": FEB, "end": MARCH}
    return [
        totals.period_totals(period_ids=[period]),
        totals.period_amounts(period_ids=[period]),
        totals.day_amounts(period_ids=[period]),
        totals.amount_before(period_id=period, instants=[datetime(2026, 2, 4, tzinfo=UTC)]),
        [
            usage_reports.usage_rows(group_by=group_by, **window)
            for group_by in ([], ["day"], ["project", "model"], ["model", "mode", "meter"])
        ],
        usage_reports.idle_hardware(**window),
        cross_checks.differences(start=FEB, end=MARCH),
    ]


def test_a_fold_changes_nothing_that_is_read(acme: Customer) -> None:
    send(tokens("a"), tokens("b", time="2026-02-04T00:00:00Z"), gpu("g", 3600, 600))
    cross_checks.record_totals(
        source="gateway/1",
        totals=[cross_checks.HourTotal("acme", datetime(2026, 2, 3, 10, tzinfo=UTC), "llama",
                                       "serverless", {"output_tokens": 7})],
        allowed_customer_ids=None,
        now=NOW,
    )  # fmt: skip
    usage_deltas.fold()
    assert pending() == 0
    # The same hours once more, so that a key stands in both parts, and several times in one.
    send(tokens("c"), gpu("h", 1800, 0))
    send(tokens("d"), tokens("e", time="2026-02-05T00:00:00Z"))
    assert pending() == 2
    before = everything_read(acme)
    assert before[1] == {next(iter(before[1])): used(acme)}
    assert rederive_rollups() == []
    usage_deltas.fold()
    assert pending() == 0
    assert everything_read(acme) == before
    assert rederive_rollups() == []
    assert UsageHour.objects.get(model="llama", hour__day=3).quantity == 3_000_000


def test_a_void_meets_usage_that_was_not_folded_yet(acme: Customer) -> None:
    send(tokens("a"), tokens("b"))
    send(tokens("c"))
    assert send(void("v", "c")).accepted == 1
    assert pending() == 0
    assert used(acme) == Decimal("3.2")
    send(tokens("d"))
    send(void("w", "a"), tokens("e"))
    assert used(acme) == Decimal("4.8")
    assert rederive_rollups() == []


def test_a_day_that_waits_to_be_folded_is_listed_once_more(acme: Customer) -> None:
    send(tokens("a"))
    usage_deltas.fold()
    send(tokens("b"))
    assert [row.amount for row in DailyUsage.objects.all()] == [Decimal("1.6")] * 2
    assert totals.day_amounts(period_ids=[acme.usage_periods.get().pk]) == {
        acme.usage_periods.get().pk: {date(2026, 2, 3): Decimal("3.2")}
    }


def test_folds_voids_and_usage_at_once(acme: Customer) -> None:
    send(*(tokens(f"gone{number}") for number in range(20)))

    def ingest(agent: int) -> None:
        for number in range(15):
            send(*(tokens(f"{agent}/{number}/{one}") for one in range(5)))

    def take_back() -> None:
        for number in range(20):
            send(void(f"v{number}", f"gone{number}"), tokens(f"kept{number}"))

    def fold() -> None:
        for _ in range(40):
            usage_deltas.fold()

    at_once(lambda: ingest(1), lambda: ingest(2), take_back, fold, fold)
    assert used(acme) == Decimal("1.6") * (150 + 20)
    assert rederive_rollups() == []
    usage_deltas.fold()
    assert (pending(), used(acme)) == (0, Decimal("1.6") * 170)
    assert rederive_rollups() == []


def test_who_ingests_much_folds_now_and_then(acme: Customer) -> None:
    most = 0
    for number in range(100):
        send(tokens(f"e{number}"))
        most = max(most, pending())
    assert 0 < most <= 32
    assert rederive_rollups() == []


def test_a_fold_gives_way_to_whoever_is_at_it(acme: Customer) -> None:
    send(tokens("a"))
    parameters = connection.get_connection_params()
    parameters.pop("cursor_factory", None)
    parameters.pop("context", None)
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, %s)", usage_deltas._LOCK)
        usage_deltas.fold()
        assert pending() == 1
        other.rollback()
        usage_deltas.fold()
        assert pending() == 0


def test_an_hour_at_two_rates_is_not_folded_and_holds_up_no_usage(
    acme: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    send(tokens("a"))
    usage_deltas.fold()
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO metering_usagedelta
                (customers, periods, hours, names, rates, quantities, models, modes, meters)
            SELECT ARRAY[customer_id], ARRAY[period_id], ARRAY[extract(epoch FROM hour)::bigint],
                ARRAY[1], ARRAY[rate * 2], ARRAY[5], ARRAY[model], ARRAY[mode], ARRAY[meter]
            FROM metering_usagehour"""
        )
    with pytest.raises(InvariantViolation):
        usage_deltas.fold()
    assert pending() == 1
    assert any("rated" in problem for problem in rederive_rollups())
    with caplog.at_level(logging.ERROR, logger="metering.services.usage_deltas"):
        for number in range(40):
            assert send(tokens(f"e{number}")).accepted == 1
    assert "could not be folded" in caplog.text
    assert HourlyUsage.objects.count() == 42
