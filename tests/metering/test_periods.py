"""Periods: half-open, in every time zone, cut and dropped without losing or doubling usage."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.domain.errors import Conflict, InvalidInput, NotFound
from billing.models import Customer
from metering.models import UnratedUsage, UsageHour, UsagePeriod
from metering.services import rate_cards, totals
from metering.services.proof import rederive_rollups
from tests.metering.conftest import APR, FEB, JAN, MAR, NOW, open_terms
from tests.metering.sending import send, tokens, void
from tests.metering.test_ingest_once import used

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]
KOLKATA = datetime(2026, 2, 2, 18, 30, tzinfo=UTC)  # midnight in a zone of half an hour
NEPAL = datetime(2026, 2, 2, 18, 15, tzinfo=UTC)


def stamp(instant: datetime) -> str:
    return instant.isoformat()


@pytest.mark.parametrize("boundary", [FEB, KOLKATA, NEPAL])
def test_a_boundary_belongs_to_the_later_period(acme: Customer, boundary: datetime) -> None:
    before = open_terms(acme, ends_at=boundary, discount="0")
    after = open_terms(acme, starts_at=boundary, discount="0.5")
    send(
        tokens("a", time=stamp(boundary - timedelta(microseconds=1))),
        tokens("b", time=stamp(boundary)),
        tokens("c", time=stamp(boundary + timedelta(minutes=14))),
    )
    amounts = totals.period_amounts(period_ids=[before.pk, after.pk])
    assert amounts == {before.pk: Decimal(2), after.pk: Decimal(2)}
    assert rederive_rollups() == []


def test_terms_count_from_the_start_of_a_period_inside_an_hour(acme: Customer) -> None:
    open_terms(acme, starts_at=KOLKATA, discount="0.5")
    send(tokens("a", time=stamp(KOLKATA)), tokens("b", time=stamp(KOLKATA - timedelta(seconds=1))))
    assert used(acme) == Decimal(1)
    assert UnratedUsage.objects.count() == 1


def test_an_override_agreed_for_a_start_inside_an_hour_counts(acme: Customer) -> None:
    fixed = rate_cards.Override("llama", "serverless", "output_tokens", Decimal(7), KOLKATA)
    card = rate_cards.create_rate_card(
        customer_id=acme.pk, protected_from=KOLKATA, discount=Decimal("0.5"), starts_at=KOLKATA,
        overrides=[fixed],
    )  # fmt: skip
    open_terms(acme, starts_at=KOLKATA, card=card)
    send(tokens("a", time=stamp(KOLKATA)))
    assert used(acme) == Decimal(7)


def test_periods_of_a_customer_do_not_overlap(acme: Customer, bolt: Customer) -> None:
    open_terms(acme, JAN, MAR)
    open_terms(bolt, JAN, MAR)
    with pytest.raises(Conflict) as refused:
        open_terms(acme, FEB, APR)
    assert refused.value.code == "period_overlaps"
    with pytest.raises(InvalidInput):
        open_terms(acme, MAR + timedelta(minutes=1), APR)
    assert UsagePeriod.objects.count() == 2


def test_usage_after_a_cut_waits_for_the_next_terms(acme: Customer) -> None:
    period = open_terms(acme, discount="0")
    send(
        tokens("a"), tokens("b", time=stamp(KOLKATA)), tokens("c", time="2026-02-05T00:00:00Z"),
        tokens("d", time=stamp(KOLKATA - timedelta(seconds=1))), void("v", "c"),
        tokens("w", model="unheard-of", time=stamp(KOLKATA)),
    )  # fmt: skip
    rate_cards.cut_period(period_id=period.pk, ends_at=KOLKATA, now=NOW)
    assert totals.period_amounts(period_ids=[period.pk]) == {period.pk: Decimal(2)}
    assert totals.open_unrated_counts(period_ids=[period.pk]) == {period.pk: 0}
    assert UnratedUsage.objects.filter(resolved_at=None, reason="no_commit").count() == 3
    assert rederive_rollups() == []
    later = open_terms(acme, starts_at=KOLKATA, discount="0.5")
    assert totals.period_amounts(period_ids=[later.pk]) == {later.pk: Decimal(2)}
    assert totals.open_unrated_counts(period_ids=[later.pk]) == {later.pk: 1}
    send(void("x", "a"), void("y", "w"))
    assert (used(acme), rederive_rollups()) == (Decimal(3), [])


def test_a_cut_lies_inside_its_period(acme: Customer) -> None:
    period = open_terms(acme, FEB, MAR)
    for instant in (FEB, JAN, APR):
        with pytest.raises(InvalidInput):
            rate_cards.cut_period(period_id=period.pk, ends_at=instant, now=NOW)
    with pytest.raises(NotFound):
        rate_cards.cut_period(period_id=0, ends_at=MAR, now=NOW)


def test_usage_of_a_dropped_period_waits_again(acme: Customer) -> None:
    period = open_terms(acme)
    send(tokens("a"), tokens("b", model="unheard-of"))
    rate_cards.drop_period(period_id=period.pk, now=NOW)
    assert not UsagePeriod.objects.exists()
    assert not UsageHour.objects.exists()
    assert UnratedUsage.objects.filter(resolved_at=None, period=None).count() == 2
    assert rederive_rollups() == []
    open_terms(acme)
    assert (used(acme), rederive_rollups()) == (Decimal("1.6"), [])


def test_a_discount_rates_anew_what_came_early(acme: Customer) -> None:
    """Events may be five minutes ahead of a discount that starts at the next whole hour."""
    period = open_terms(acme, discount="0.2")
    hour = FEB + timedelta(days=2, hours=10)
    send(tokens("a", time=stamp(hour - timedelta(seconds=1))), tokens("b", time=stamp(hour)))
    rate_cards.set_discount(card_id=period.rate_card_id, discount=Decimal("0.5"), effective_at=hour)
    send(tokens("c", time=stamp(hour)))
    assert used(acme) == Decimal("1.6") + 1 + 1
    assert [str(one.rate) for one in totals.period_totals(period_ids=[period.pk])[period.pk]] == [
        "0.000001000000", "0.000001600000"
    ]  # fmt: skip
    assert rederive_rollups() == []
    with pytest.raises(InvalidInput) as refused:
        rate_cards.set_discount(
            card_id=period.rate_card_id, discount=Decimal("0.5"), effective_at=KOLKATA
        )
    assert refused.value.code == "not_a_whole_hour"


def test_amounts_before_instants_add_up_to_the_period(acme: Customer) -> None:
    period = open_terms(acme, starts_at=KOLKATA, discount="0")
    times = [KOLKATA, KOLKATA + timedelta(minutes=29), KOLKATA + timedelta(minutes=30)]
    send(*(tokens(str(place), time=stamp(at)) for place, at in enumerate(times)))
    nineteen = KOLKATA + timedelta(minutes=30)
    asked = [JAN, KOLKATA, nineteen, nineteen + timedelta(hours=1), APR]
    before = totals.amount_before(period_id=period.pk, instants=asked)
    assert before == [0, 0, Decimal(4), Decimal(6), Decimal(6)]
    with pytest.raises(InvalidInput):
        totals.amount_before(period_id=period.pk, instants=[nineteen + timedelta(minutes=1)])


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    quarters=st.lists(st.integers(0, 200), min_size=1, max_size=12),
    cut=st.integers(1, 199),
    voided=st.sets(st.integers(0, 11)),
)
def test_cutting_and_opening_again_never_changes_what_was_used(
    acme: Customer, quarters: list[int], cut: int, voided: set[int]
) -> None:
    """Usage at any quarter of an hour, voids among it, a cut anywhere: the same sum at list."""
    for known in UsagePeriod.objects.filter(customer=acme):
        rate_cards.drop_period(period_id=known.pk, now=NOW)
    start = datetime(2026, 2, 1, tzinfo=UTC)
    end = start + timedelta(minutes=15 * 201)
    tag = f"{quarters}{cut}{sorted(voided)}"[:150]
    period = open_terms(acme, start, end, discount="0")
    before = used(acme)
    send(*(
        tokens(f"{tag}/{n}", time=stamp(start + timedelta(minutes=15 * q)))
        for n, q in enumerate(quarters)
    ))  # fmt: skip
    send(*(void(f"{tag}/v{n}", f"{tag}/{n}") for n in sorted(voided) if n < len(quarters)))
    counted = used(acme)
    assert before <= counted <= before + 2 * len(quarters)
    boundary = start + timedelta(minutes=15 * cut)
    rate_cards.cut_period(period_id=period.pk, ends_at=boundary, now=NOW)
    open_terms(acme, boundary, end, discount="0")
    assert used(acme) == counted
    assert rederive_rollups() == []
