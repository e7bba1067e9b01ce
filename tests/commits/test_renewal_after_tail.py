"""A successor signed for the end of a coming tail quarter: the tail goes on until then."""

from datetime import date

import pytest

from billing.domain.errors import Conflict
from billing.models import Customer
from commits.models import Commit, Quarter
from commits.services import closes, daily, proof
from tests.commits.world import at, figures, signed, use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_year(acme: Customer) -> Commit:
    return signed(acme, instalments=("1000", "1000"))


def successor(acme: Customer, starts_on: date) -> Commit:
    return signed(acme, starts_on=starts_on, instalments=("500",), now=at("2026-05-01"))


def test_empty_tail_quarters_before_it_do_not_end_the_chain(
    acme: Customer, half_year: Commit
) -> None:
    use(acme, "1700", "2026-02-01", now=at("2026-02-01"))
    use(acme, "300", "2026-05-01", now=at("2026-05-01"))
    follower = successor(acme, date(2027, 1, 1))
    for when in ("2026-04-04", "2026-07-04", "2026-10-04", "2027-01-04"):
        daily.open_next_quarters(now=at(when))
        closes.run_closes(as_of=at(when), now=at(when))
    assert [q.state for q in Quarter.objects.filter(commit=half_year)] == ["posted"] * 4
    assert figures(follower)[0] == ("1200", "700", "0", "0", "0")
    assert proof.commit_problems() == []


def test_a_start_inside_a_coming_tail_quarter_is_refused(acme: Customer, half_year: Commit) -> None:
    with pytest.raises(Conflict) as refused:
        successor(acme, date(2027, 2, 1))
    assert refused.value.code == "commit_overlaps"
    assert Quarter.objects.count() == 3
