"""Credits: two people, draw order by expiry, what lapses is not revenue."""

from decimal import Decimal as D

import pytest

from billing.domain.errors import NotPermitted
from billing.models import Customer
from commits.models import Commit, Credit
from commits.services import balances, closes, proof
from commits.services.credits import CreditRequest, approve_credit, request_credit
from tests.commits.world import at, figures, trial_balance, use

pytestmark = pytest.mark.django_db(transaction=True)


def credit(commit: Commit, amount: str, now: str, **options: object) -> Credit:
    request = CreditRequest(amount=D(amount), reason="outage", **options)  # type: ignore[arg-type]
    asked = request_credit(commit_id=commit.pk, request=request, actor="ada", now=at(now))
    return approve_credit(credit_id=asked.pk, actor="ben", now=at(now))


def test_whoever_asks_does_not_approve(acme: Customer, commit: Commit) -> None:
    asked = request_credit(
        commit_id=commit.pk,
        request=CreditRequest(amount=D(5), reason="outage"),
        actor="ada",
        now=at("2026-02-01"),
    )
    with pytest.raises(NotPermitted):
        approve_credit(credit_id=asked.pk, actor="ada", now=at("2026-02-01"))
    assert Credit.objects.get(pk=asked.pk).state == "requested"
    assert trial_balance(acme) == {}


def test_a_credit_covers_accrued_overage_first(acme: Customer, commit: Commit) -> None:
    use(acme, "30100", "2026-02-01", now=at("2026-02-01"))
    credit(commit, "60", "2026-02-02")
    balance = balances.read_balance(customer=acme, now=at("2026-02-03"))
    assert (balance.overage, balance.available) == (D(40), D(0))
    assert proof.commit_problems() == []


def test_a_credit_that_ends_inside_the_quarter_covers_only_usage_before(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "10", "2026-02-01", now=at("2026-02-01"))
    credit(commit, "100", "2026-02-20", expires_at=at("2026-02-10"))
    use(acme, "500", "2026-02-11", now=at("2026-02-21"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    assert figures(commit)[0] == ("30100", "0", "510", "0", "29500")
    assert trial_balance(acme)["contra_revenue"] == D(10)
    assert "breakage_revenue" not in trial_balance(acme)
    assert proof.commit_problems() == []


def test_a_rolling_credit_rolls_and_is_drawn_last(acme: Customer, commit: Commit) -> None:
    credit(commit, "100", "2026-02-20", rolls_over=True)
    use(acme, "30040", "2026-03-01", now=at("2026-03-01"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    assert figures(commit)[:2] == [
        ("30100", "0", "30040", "0", "60"),
        ("30060", "60", "0", "0", "0"),
    ]
    assert proof.commit_problems() == []
