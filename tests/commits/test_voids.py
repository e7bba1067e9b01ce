"""Voids: in time they are as if never reported; after the close, what was billed is given back."""

from decimal import Decimal as D

import pytest

from billing.models import Customer, InvoiceLine
from commits.models import Commit
from commits.services import balances, closes, daily, proof
from tests.commits.world import at, figures, trial_balance, use, void

pytestmark = pytest.mark.django_db(transaction=True)


def close(when: str) -> None:
    closes.run_closes(as_of=at(when), now=at(when))
    assert proof.commit_problems() == []


def test_a_void_in_time_leaves_nothing(acme: Customer, commit: Commit) -> None:
    target = use(acme, "31000", "2026-02-01", now=at("2026-02-01"))
    daily.draw_down(now=at("2026-02-02"))
    void(acme, target, now=at("2026-02-03"))
    daily.draw_down(now=at("2026-02-03"))
    assert trial_balance(acme) == {}
    assert figures(commit)[0] == ("30000", "0", "0", "0", "0")
    assert proof.commit_problems() == []


def test_a_late_void_of_drawn_usage_returns_to_the_balance(acme: Customer, commit: Commit) -> None:
    target = use(acme, "20000", "2026-02-01", now=at("2026-02-01"))
    close("2026-04-04")
    void(acme, target, now=at("2026-05-01"))
    balance = balances.read_balance(customer=acme, now=at("2026-05-01"))
    assert (balance.granted, balance.available) == (D(60000), D(60000))
    daily.draw_down(now=at("2026-05-01"))
    assert figures(commit)[:2] == [
        ("30000", "0", "0", "0", "30000"),
        ("60000", "30000", "0", "0", "0"),
    ]
    assert proof.commit_problems() == []


def test_invoiced_overage_that_is_voided_is_given_back_exactly(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "33000.004", "2026-02-01", now=at("2026-02-01"))
    target = use(acme, "500", "2026-02-02", now=at("2026-02-02"))
    close("2026-04-04")
    void(acme, target, now=at("2026-05-01"))
    seen = balances.read_balance(customer=acme, now=at("2026-05-01"))
    assert seen.available == D(30500)
    daily.draw_down(now=at("2026-05-01"))
    assert balances.read_balance(customer=acme, now=at("2026-05-01")).available == D(30500)
    assert figures(commit)[:2] == [
        ("30000", "0", "33000.004", "3000.004", "0"),
        ("30500", "0", "0", "0", "0"),
    ]
    close("2026-07-04")
    close("2026-10-04")
    assert figures(commit)[3][1] == "60500"
    assert InvoiceLine.objects.filter(kind="late_usage").count() == 0


def test_late_overage_that_was_not_billed_yet_is_simply_billed_no_more(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "30000", "2026-02-01", now=at("2026-02-01"))
    close("2026-04-04")
    use(acme, "30000", "2026-05-01", now=at("2026-05-01"))
    close("2026-07-04")
    target = use(acme, "70", "2026-02-03", now=at("2026-08-01"))
    daily.draw_down(now=at("2026-08-01"))
    void(acme, target, now=at("2026-08-02"))
    daily.draw_down(now=at("2026-08-02"))
    balance = balances.read_balance(customer=acme, now=at("2026-08-02"))
    assert (balance.available, balance.overage) == (D(30000), D(0))
    close("2026-10-04")
    assert not InvoiceLine.objects.filter(kind="late_usage").exists()
