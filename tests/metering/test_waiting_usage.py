"""Usage that cannot be rated waits, visibly, and is rated as soon as it can be."""

from datetime import timedelta
from decimal import Decimal

import pytest

from billing.domain.errors import Conflict
from billing.models import AuditEvent, Customer
from metering.models import Resolution, UnratedReason, UnratedUsage
from metering.services import price_book, rate_cards, totals
from metering.services.proof import rederive_rollups
from tests.metering.conftest import APR, FEB, JAN, MAR, NOW, open_terms
from tests.metering.sending import event, send, tokens
from tests.metering.test_ingest_once import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


def price(model: str, meter: str, amount: str, at: object = JAN, mode: str = "serverless") -> None:
    price_book.add_price(
        model=model, mode=mode, meter=meter, price=Decimal(amount), effective_at=at,  # type: ignore[arg-type]
        actor_name="ada", now=NOW,
    )  # fmt: skip


def test_without_a_commit_usage_waits_and_says_why(acme: Customer) -> None:
    result = send(tokens("a"))
    assert (result.accepted, result.unrated) == (1, 1)
    waiting = UnratedUsage.objects.get()
    assert (waiting.reason, waiting.period_id) == (UnratedReason.NO_COMMIT, None)
    assert rederive_rollups() == []


def test_a_commit_dated_to_cover_it_rates_it(acme: Customer) -> None:
    send(tokens("a"), tokens("b", time="2026-03-01T00:00:00Z"), now=MAR + timedelta(days=1))
    open_terms(acme, ends_at=MAR)
    assert used(acme) == Decimal("1.6")
    left = UnratedUsage.objects.get(resolved_at=None)
    assert left.reason == UnratedReason.NO_COMMIT
    assert rederive_rollups() == []


def test_without_a_price_usage_waits_in_its_period_until_priced(acme: Customer) -> None:
    period = open_terms(acme)
    assert send(tokens("a", model="new"), tokens("b", model="new")).unrated == 2
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 2}
    assert used(acme) == 0
    price("new", "output_tokens", "10")
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 0}
    assert used(acme) == Decimal(16)
    assert set(UnratedUsage.objects.values_list("resolution", flat=True)) == {Resolution.RATED}
    assert rederive_rollups() == []


def test_a_price_that_begins_later_leaves_earlier_usage_waiting(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a", model="new", time="2026-02-03T09:59:59Z"), tokens("b", model="new"))
    price("new", "output_tokens", "10", at=FEB + timedelta(days=2, hours=10))
    assert used(acme) == Decimal(8)
    assert UnratedUsage.objects.filter(resolved_at=None).count() == 1
    assert rederive_rollups() == []


def test_only_the_meters_without_a_price_wait(acme: Customer) -> None:
    period = open_terms(acme)
    price("half", "input_tokens", "1")
    data = {"model": "half", "mode": "serverless", "input_tokens": 10**6, "output_tokens": 10**6}
    assert send(event("a", "tokens", data)).unrated == 1
    assert used(acme) == Decimal("0.8")
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 1}
    price("half", "output_tokens", "2")
    assert used(acme) == Decimal("2.4")


def test_a_price_that_would_change_a_rated_amount_is_refused(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"))
    entries = AuditEvent.objects.count()
    for at in (JAN, FEB, FEB + timedelta(days=2, hours=10)):
        with pytest.raises(Conflict) as refused:
            price("llama", "output_tokens", "1", at=at)
        assert refused.value.code == "price_in_force"
    assert (used(acme), AuditEvent.objects.count()) == (Decimal("1.6"), entries)
    price("llama", "output_tokens", "1", at=FEB + timedelta(days=2, hours=11))
    send(tokens("b", time="2026-02-03T11:00:00Z"))
    assert used(acme) == Decimal("2.4")
    assert rederive_rollups() == []


def test_a_dearer_price_is_no_change_under_protection(acme: Customer) -> None:
    open_terms(acme)
    send(tokens("a"))
    price("llama", "output_tokens", "99", at=FEB)
    assert used(acme) == Decimal("1.6")
    assert rederive_rollups() == []


def test_a_price_that_derived_rates_hang_on_is_refused_as_well(acme: Customer) -> None:
    open_terms(acme)
    price("only", "input_tokens", "1")
    data = {"model": "only", "mode": "batch", "input_tokens": 9, "cached_input_tokens": 9}
    send(event("a", "tokens", data))
    for mode, meter in (("serverless", "cached_input_tokens"), ("batch", "input_tokens"),
                        ("batch", "cached_input_tokens")):  # fmt: skip
        with pytest.raises(Conflict):
            price("only", meter, "0.1", at=FEB, mode=mode)


def test_a_wrong_price_may_be_replaced_before_anything_was_rated_by_it(acme: Customer) -> None:
    open_terms(acme)
    price("new", "output_tokens", "1000", at=MAR)
    price("new", "output_tokens", "10", at=MAR)
    send(tokens("a", model="new", time="2026-03-01T00:00:00Z"), now=MAR)
    assert used(acme) == Decimal(8)


def test_an_override_rates_what_waits_and_changes_nothing_rated(acme: Customer) -> None:
    period = open_terms(acme)
    send(tokens("a", model="private"), tokens("b"))

    def override(model: str) -> None:
        rate_cards.add_override(
            card_id=period.rate_card_id, model=model, mode="serverless", meter="output_tokens",
            price=Decimal(7), effective_at=FEB, now=NOW,
        )  # fmt: skip

    override("private")
    assert used(acme) == Decimal("8.6")
    with pytest.raises(Conflict) as refused:
        override("llama")
    assert refused.value.code == "price_in_force"
    assert used(acme) == Decimal("8.6")
    assert rederive_rollups() == []


def test_a_gap_in_the_terms_is_no_period(acme: Customer) -> None:
    open_terms(acme, ends_at=FEB)
    open_terms(acme, starts_at=MAR, ends_at=APR)
    assert send(tokens("a")).unrated == 1
