"""A run of closes leaves quarters that lie ahead unread: its plans are those of the whole chain."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import transaction

from billing.models import Customer
from commits.domain.close import canonical
from commits.domain.policies import EndOfTerm
from commits.models import Commit, Quarter, QuarterState
from commits.services import closes, daily, proof
from commits.services.chains import ChainState, load_chains
from commits.services.close_inputs import close_inputs
from commits.services.due_closes import due_at
from tests.commits.world import at, figures, make_customer, signed, use

pytestmark = pytest.mark.django_db(transaction=True)
TWO_YEARS = ("1000",) * 8


def loaded(origin_id: UUID, *, now: datetime) -> tuple[ChainState, ChainState]:
    """A chain as a run of closes reads it, and whole."""
    with transaction.atomic():
        read = load_chains(origin_ids=[origin_id], lock=True, closing_at=now)[origin_id]
        return read, load_chains(origin_ids=[origin_id], lock=True)[origin_id]


def plans_alike(*, now: datetime) -> int:
    """Assert that every close due has the same inputs either way: how many were compared."""
    compared = 0
    for origin_id in set(Commit.objects.values_list("origin", flat=True)):
        read, whole = loaded(origin_id, now=now)
        quarter = whole.open_quarter
        if quarter is None or due_at(whole.commit_of(quarter), quarter) > now:
            continue
        seen = read.open_quarter
        assert seen == quarter
        assert canonical(close_inputs(read, seen)) == canonical(close_inputs(whole, quarter))
        compared += 1
    return compared


def test_of_a_young_chain_just_what_has_begun_is_read(acme: Customer) -> None:
    commit = signed(acme, instalments=TWO_YEARS)
    use(acme, "400", "2026-02-01", now=at("2026-02-01"))
    daily.draw_down(now=at("2026-04-05"))
    read, whole = loaded(commit.pk, now=at("2026-04-05"))
    assert [quarter.position for quarter in read.quarters] == [1, 2]
    assert len(whole.quarters) >= 8


@pytest.mark.parametrize(("now", "count"), [("2026-06-29T23:00", 2), ("2026-06-30T01:00", 3)])
def test_a_quarter_that_begins_within_a_day_is_read(acme: Customer, now: str, count: int) -> None:
    commit = signed(acme, instalments=TWO_YEARS)
    read, _ = loaded(commit.pk, now=at(now))
    assert len(read.quarters) == count


@pytest.mark.usefixtures("acme")
def test_plans_are_those_of_the_whole_chain_at_every_end_of_a_term() -> None:
    for end in EndOfTerm:
        customer = make_customer(end.value)
        signed(customer, instalments=("1000", "1000", "1000"), end_of_term=end)
        use(customer, "600", "2026-02-01", now=at("2026-02-01"))
        use(customer, "1900", "2026-05-01", now=at("2026-05-01"))
    followed = make_customer("followed")
    first = signed(followed, instalments=("1000", "1000", "1000"))
    signed(followed, starts_on=date(2026, 10, 1), instalments=TWO_YEARS, now=at("2026-02-01"))
    monthly = make_customer("monthly")
    signed(monthly, instalments=(), discount=Decimal(0))
    use(monthly, "70", "2026-03-20", now=at("2026-03-20"))
    compared = 0
    for when in (
        "2026-04-05",
        "2026-05-05",
        "2026-07-05",
        "2026-10-05",
        "2027-01-05",
        "2027-04-05",
    ):
        now = at(when)
        daily.open_next_quarters(now=now)
        compared += plans_alike(now=now)
        closes.run_closes(as_of=now, now=now)
    assert compared > 15
    assert figures(first)
    assert proof.commit_problems() == []


def test_closes_a_year_late_come_to_the_same(acme: Customer) -> None:
    others = make_customer("in-time")
    late, in_time = signed(acme, instalments=TWO_YEARS), signed(others, instalments=TWO_YEARS)
    for customer in (acme, others):
        for when, dollars in (("2026-02-01", "400"), ("2026-05-01", "1700"), ("2026-11-01", "900")):
            use(customer, dollars, when, now=at(when))
    for when in ("2026-04-05", "2026-07-05", "2026-10-05", "2027-01-05"):
        closes.run_closes(as_of=at(when), now=at(when), commit_id=in_time.pk)
    closes.run_closes(as_of=at("2027-01-05"), now=at("2027-01-05"), commit_id=late.pk)
    posted = Quarter.objects.filter(commit=late, state=QuarterState.POSTED)
    assert posted.count() == 4
    assert figures(late) == figures(in_time)
    assert sum(q.booked_rolled_out for q in posted) > Decimal(0)
    assert proof.commit_problems() == []


def test_usage_of_quarters_that_began_after_a_close_that_is_made_up_for_is_booked(
    acme: Customer,
) -> None:
    """Daily jobs that did not run for months run each with its own due instant, while events of
    today come in between."""
    commit = signed(acme, instalments=TWO_YEARS)
    late = at("2026-04-04")
    daily.draw_down(now=late)
    use(acme, "400", "2026-10-09", now=at("2026-10-10"))
    closes.run_closes(as_of=late, now=late)
    daily.draw_down(now=late)
    assert Quarter.objects.get(commit=commit, index=1).state == QuarterState.POSTED
    assert Quarter.objects.get(commit=commit, index=4).booked_drawn == Decimal(400)
    assert proof.commit_problems() == []
