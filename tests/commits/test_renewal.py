"""A renewal receives the rollover of the term before it, and cents go on cumulating."""

from datetime import date
from decimal import Decimal as D

import pytest

from billing.domain.errors import Conflict
from billing.models import Customer
from commits.models import Commit
from commits.services import balances, closes, proof
from tests.commits.world import at, figures, signed, use

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_year(acme: Customer) -> Commit:
    return signed(acme, instalments=("1000", "1000"))


def renew(acme: Customer, now: str) -> Commit:
    return signed(acme, starts_on=date(2026, 7, 1), instalments=("500",), now=at(now))


def test_unused_money_rolls_into_the_successor(acme: Customer, half_year: Commit) -> None:
    use(acme, "1700", "2026-02-01", now=at("2026-02-01"))
    successor = renew(acme, "2026-05-01")
    for when in ("2026-04-04", "2026-07-04"):
        closes.run_closes(as_of=at(when), now=at(when))
    assert figures(half_year) == [
        ("1000", "0", "1700", "700", "0"),
        ("1000", "0", "0", "0", "1000"),
    ]
    assert figures(successor)[0] == ("1500", "1000", "0", "0", "0")
    assert Commit.objects.get(pk=half_year.pk).state == "ended"
    assert proof.commit_problems() == []


def test_what_waits_in_the_grace_of_the_old_term_is_pending(
    acme: Customer, half_year: Commit
) -> None:
    successor = renew(acme, "2026-05-01")
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    balance = balances.read_balance(customer=acme, now=at("2026-07-02"))
    assert balance.commit == successor
    assert (balance.available, balance.pending_rollover) == (D(500), D(2000))


def test_late_usage_of_the_old_term_is_booked_in_the_new_one(
    acme: Customer, half_year: Commit
) -> None:
    successor = renew(acme, "2026-05-01")
    for when in ("2026-04-04", "2026-07-04"):
        closes.run_closes(as_of=at(when), now=at(when))
    use(acme, "300", "2026-06-01", now=at("2026-08-01"))
    closes.run_closes(as_of=at("2026-08-01"), now=at("2026-08-01"))
    assert figures(successor)[0] == ("2200", "1700", "0", "0", "0")
    use(acme, "2250", "2026-08-02", now=at("2026-08-02"))
    closes.run_closes(as_of=at("2026-10-04"), now=at("2026-10-04"))
    assert figures(successor)[0] == ("2200", "1700", "2250", "50", "0")
    assert proof.commit_problems() == []


def test_a_second_commit_in_the_same_term_is_refused(acme: Customer, half_year: Commit) -> None:
    with pytest.raises(Conflict) as refused:
        signed(acme, starts_on=date(2026, 6, 1), instalments=("500",), now=at("2026-05-01"))
    assert refused.value.code == "commit_overlaps"
    assert Commit.objects.filter(state="active").count() == 1
