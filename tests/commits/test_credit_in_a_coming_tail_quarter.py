"""A credit granted in the quarter after an empty tail quarter is not lost with it."""

from datetime import date

import pytest

from billing.domain.errors import Conflict
from billing.models import Customer
from commits.models import Commit, Quarter
from commits.services import closes, daily, proof
from tests.commits.test_credits import credit
from tests.commits.world import at, figures, signed, use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_grace_of_the_tail(acme: Customer) -> Commit:
    """One quarter, all used; its tail quarter waits in its grace with nothing to roll."""
    commit = signed(acme, instalments=("1000",))
    use(acme, "1000", "2026-02-01", now=at("2026-02-01"))
    for when in ("2026-04-04", "2026-07-01"):
        daily.open_next_quarters(now=at(when))
        closes.run_closes(as_of=at(when), now=at(when))
    credit(commit, "50", "2026-07-02")
    return commit


def test_the_tail_goes_on_with_it(acme: Customer, in_grace_of_the_tail: Commit) -> None:
    closes.run_closes(as_of=at("2026-07-04"), now=at("2026-07-04"))
    assert figures(in_grace_of_the_tail)[2] == ("50", "0", "0", "0", "0")
    assert proof.commit_problems() == []


def test_no_commit_takes_its_quarter_away(acme: Customer, in_grace_of_the_tail: Commit) -> None:
    with pytest.raises(Conflict) as refused:
        signed(acme, starts_on=date(2026, 7, 1), instalments=("5",), now=at("2026-07-02"))
    assert refused.value.code == "quarter_has_money"
    assert Quarter.objects.count() == 3
