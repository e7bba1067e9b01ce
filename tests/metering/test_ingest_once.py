"""An event counts once, however often and in whatever company it is sent."""

from decimal import Decimal

import pytest

from billing.models import Customer
from metering.models import UnratedUsage, UsageEvent, UsageState
from metering.services import totals
from metering.services.proof import rederive_rollups
from tests.metering.conftest import open_terms
from tests.metering.sending import codes, event, send, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


def used(customer: Customer) -> Decimal:
    periods = customer.usage_periods.values_list("id", flat=True)
    return sum(totals.period_amounts(period_ids=list(periods)).values(), Decimal(0))


def test_usage_is_rated_at_the_commits_rate(acme: Customer) -> None:
    open_terms(acme, discount="0.2")
    data = {
        "model": "llama", "mode": "serverless", "input_tokens": 3_000_000,
        "cached_input_tokens": 2_000_000, "output_tokens": 1_000_000,
    }  # fmt: skip
    gpu = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 7200, "busy_gpu_seconds": 1}
    images = {"model": "flux", "mode": "batch", "quantities": {"images": 10}}
    result = send(event("t", "tokens", data), event("g", "gpu", gpu), event("i", "usage", images))
    assert (result.accepted, result.unrated, result.refused) == (3, 0, [])
    listed = Decimal("1") * 1 + Decimal("0.5") * 2 + 2 + Decimal("7.2") + Decimal("0.2")
    assert used(acme) == listed * Decimal("0.8")
    assert rederive_rollups() == []


def test_the_same_batch_again_changes_nothing(acme: Customer) -> None:
    open_terms(acme)
    batch = [tokens(f"e{number}") for number in range(20)]
    assert send(*batch).accepted == 20
    before = used(acme)
    again = send(*batch)
    assert (again.accepted, again.duplicates, again.refused) == (0, 20, [])
    assert used(acme) == before == Decimal("32")
    assert UsageEvent.objects.count() == UsageState.objects.get(pk=acme.pk).ingest_seq == 20


def test_a_batch_that_is_half_new_counts_its_new_half(acme: Customer) -> None:
    open_terms(acme)
    send(*(tokens(f"e{number}") for number in range(0, 20, 2)))
    result = send(*(tokens(f"e{number}") for number in range(20)))
    assert (result.accepted, result.duplicates) == (10, 10)
    assert used(acme) == Decimal("32")
    assert rederive_rollups() == []


def test_other_content_under_the_same_id_is_a_conflict(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"))
    result = send(tokens("b"), tokens("a", output=5), tokens("c"))
    assert (result.accepted, codes(result)) == (2, [(1, "conflict")])
    assert used(acme) == Decimal("4.8")


def test_repetitions_within_one_batch_count_once_and_the_first_one_counts(acme: Customer) -> None:
    open_terms(acme)
    result = send(tokens("a"), tokens("a"), tokens("a", output=5))
    assert (result.accepted, result.duplicates, codes(result)) == (1, 1, [(2, "conflict")])
    assert used(acme) == Decimal("1.6")


def test_an_id_is_unique_within_its_customer_and_source_only(
    acme: Customer, bolt: Customer
) -> None:
    open_terms(acme)
    open_terms(bolt)
    result = send(tokens("a"), tokens("a", subject="bolt"), tokens("a", source="gateway/2"))
    assert (result.accepted, result.refused) == (3, [])
    assert (used(acme), used(bolt)) == (Decimal("3.2"), Decimal("1.6"))


def test_refused_events_do_not_hold_up_the_others(acme: Customer) -> None:
    open_terms(acme)
    result = send(
        tokens("a", time="2026-02-10T12:05:01Z"),
        tokens("b", subject="nobody"),
        tokens("c"),
        tokens("d", output=-1),
    )
    assert result.accepted == 1
    assert codes(result) == [
        (0, "too_far_in_future"), (1, "unknown_customer"), (3, "invalid_event")
    ]  # fmt: skip
    assert [one.id for one in result.refused] == ["a", "b", "d"]


def test_a_refused_event_may_come_again(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a", output=-1))
    assert send(tokens("a")).accepted == 1


def test_an_agent_limited_to_customers_does_not_know_the_others(
    acme: Customer, bolt: Customer
) -> None:
    result = send(tokens("a"), tokens("b", subject="bolt"), allowed_customer_ids={acme.pk})
    assert (result.accepted, codes(result)) == (1, [(1, "unknown_customer")])
    assert not UsageEvent.objects.filter(customer=bolt).exists()


def test_a_zero_quantity_needs_no_price_and_no_commit(acme: Customer) -> None:
    result = send(tokens("a", output=0, model="unheard-of"))
    assert (result.accepted, result.unrated) == (1, 0)
    assert not UnratedUsage.objects.exists()


def test_everything_that_was_reported_is_kept(acme: Customer) -> None:
    data = {
        "model": "llama", "mode": "batch", "input_tokens": 9, "cached_input_tokens": 4,
        "output_tokens": 7, "reasoning_tokens": 3, "endpoint": "ep", "project": "search",
        "region": "eu", "async": True,
    }  # fmt: skip
    send(event("a", "tokens", data))
    kept = UsageEvent.objects.get()
    assert (kept.input_tokens, kept.cached_input_tokens) == (5, 4)
    assert (kept.output_tokens, kept.reasoning_tokens) == (7, 3)
    assert (kept.source, kept.event_id, kept.model, kept.mode) == (
        "gateway/1", "a", "llama", "batch",
    )  # fmt: skip
    assert (kept.project, kept.extra) == (
        "search", {"endpoint": "ep", "region": "eu", "async": True},
    )  # fmt: skip
    assert kept.occurred_at.isoformat() == "2026-02-03T10:00:00+00:00"


def test_the_largest_quantities_add_up_exactly(acme: Customer) -> None:
    open_terms(acme, discount="0")
    most = 2**53 - 1
    send(*(tokens(str(number), output=most) for number in range(2000)))
    assert used(acme) == Decimal(most) * 2000 * Decimal("0.000002")
    assert rederive_rollups() == []
