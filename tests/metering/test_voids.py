"""A void takes its target back: at the target's time, period and rate, once, in any order."""

from decimal import Decimal
from itertools import permutations

import pytest

from billing.models import Customer
from metering.models import Resolution, UnratedUsage, UsageEvent, UsageHour
from metering.services import totals
from metering.services.proof import rederive_rollups
from tests.metering.conftest import FEB, MAR, open_terms
from tests.metering.sending import codes, event, send, tokens, void
from tests.metering.test_ingest_once import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


def test_a_void_takes_its_target_off(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"), tokens("b"))
    assert send(void("v", "a")).accepted == 1
    assert used(acme) == Decimal("1.6")
    assert rederive_rollups() == []


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_one_batch_the_order_does_not_matter(acme: Customer, order: tuple[int, ...]) -> None:
    open_terms(acme)
    batch = [tokens("a"), tokens("b"), void("v", "a"), tokens("c", model="unheard-of")]
    result = send(*(batch[place] for place in order))
    assert (result.accepted, result.refused) == (4, [])
    assert used(acme) == Decimal("1.6")
    assert rederive_rollups() == []


def test_a_void_belongs_to_the_period_of_its_target(acme: Customer) -> None:
    first = open_terms(acme, ends_at=FEB)
    second = open_terms(acme, starts_at=FEB, discount="0.5")
    send(tokens("a", time="2026-01-31T23:59:59Z"), tokens("b", time="2026-02-01T00:00:00Z"))
    send(void("v", "a", time="2026-02-05T00:00:00Z"))
    amounts = totals.period_amounts(period_ids=[first.pk, second.pk])
    assert amounts == {first.pk: 0, second.pk: Decimal(1)}
    assert rederive_rollups() == []


def test_a_void_of_what_never_came_is_not_found(acme: Customer, bolt: Customer) -> None:
    send(tokens("a", subject="bolt"))
    result = send(void("v", "a"), void("w", "zzz", subject="bolt"))
    assert codes(result) == [(0, "not_found"), (1, "not_found")]
    assert UsageEvent.objects.count() == 1


def test_a_second_void_of_one_event_is_a_conflict(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"))
    result = send(void("v", "a"), void("w", "a"))
    assert (result.accepted, codes(result)) == (1, [(1, "conflict")])
    assert codes(send(void("x", "a"))) == [(0, "conflict")]
    assert used(acme) == 0


def test_the_same_void_again_is_a_duplicate(acme: Customer) -> None:
    send(tokens("a"))
    send(void("v", "a"))
    again = send(void("v", "a"))
    assert (again.accepted, again.duplicates, again.refused) == (0, 1, [])


def test_a_void_cannot_be_voided_nor_reuse_an_id(acme: Customer) -> None:
    send(tokens("a"), tokens("b"))
    send(void("v", "a"))
    assert codes(send(void("w", "v"))) == [(0, "conflict")]
    assert codes(send(void("b", "b"))) == [(0, "conflict")]
    assert codes(send(void("v", "b"))) == [(0, "conflict")]


def test_a_void_of_a_void_in_the_same_batch_is_refused(acme: Customer) -> None:
    result = send(tokens("a"), void("v", "a"), void("w", "v"))
    assert result.accepted == 2
    # Its target is no event of usage by then, stored or not.
    assert [index for index, _ in codes(result)] == [2]


def test_a_void_of_waiting_usage_ends_the_waiting(acme: Customer) -> None:
    period = open_terms(acme)
    send(tokens("a", model="unheard-of"))
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 1}
    send(void("v", "a"))
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 0}
    assert UnratedUsage.objects.get().resolution == Resolution.VOIDED
    assert rederive_rollups() == []


def test_a_void_of_usage_rated_later_takes_it_off(acme: Customer) -> None:
    send(tokens("a"))
    open_terms(acme)
    assert used(acme) == Decimal("1.6")
    send(void("v", "a"))
    assert used(acme) == 0
    assert rederive_rollups() == []


def test_a_replacement_is_an_event_of_its_own(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"))
    send(void("v", "a"), tokens("a/2", output=500_000))
    assert used(acme) == Decimal("0.8")


def test_all_of_an_event_is_taken_back(acme: Customer) -> None:
    open_terms(acme)
    data = {"model": "flux", "mode": "serverless", "quantities": {"images": 7, "gpu_seconds": 2}}
    gpu = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 3600}
    send(event("i", "usage", data), event("g", "gpu", gpu))
    send(void("v", "i"), void("w", "g"))
    assert used(acme) == 0
    assert not UsageHour.objects.exclude(quantity=0).exists()
    assert rederive_rollups() == []


def test_an_event_voided_in_its_own_batch_waits_for_nothing(acme: Customer) -> None:
    result = send(void("v", "a"), tokens("a"))
    assert (result.accepted, result.unrated) == (2, 1)
    assert not UnratedUsage.objects.filter(resolved_at=None).exists()
    open_terms(acme, ends_at=MAR)
    assert used(acme) == 0
