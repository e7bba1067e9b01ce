"""Drawing down: the order of grants, credits with an expiry, and money that covers overage."""

from fractions import Fraction
from typing import Any

from .cast import at, small, spend, tell
from .draw import Grant, draw_down
from .happenings import ApproveTrueUp, Credit, RequestTrueUp

END, START = at("2026-04-01"), at("2026-01-01")


def grant(kind: str, amount: int, **more: Any) -> Grant:
    """A grant of the first quarter."""
    given: dict[str, Any] = {"expires_at": END, "created_at": START, **more}
    return Grant(kind, Fraction(amount), "paid", **given)


def test_the_draw_order() -> None:
    """Lapsing credits by expiry, rollovers by source, instalment, true-ups, rolling credits."""
    grants = [
        grant("credit", 1, number=9),
        grant("true_up", 2, number=8),
        grant("true_up", 3, number=7),
        grant("instalment", 4),
        grant("rollover", 5, position=1),
        grant("rollover", 6, position=0),
        grant("credit", 7, rolls_over=False),
        grant("credit", 8, rolls_over=False, expires_at=at("2026-03-01")),
    ]
    drawn, overage = draw_down(grants, [(at("2026-02-01"), Fraction(37))], Fraction(0))
    assert [one.grant.amount for one in drawn] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert overage == 1


def test_a_credit_covers_usage_before_its_expiry_only() -> None:
    """It counts usage that came before its issue as well, and what is left of it lapses."""
    world = tell(
        small("10"),
        spend("2026-01-10", "3", "a"),
        spend("2026-03-10", "12", "b"),
        Credit(
            at=at("2026-02-01"),
            commit="A",
            key="c",
            amount=Fraction(5),
            expires_at=at("2026-03-01"),
        ),
        until="2026-03-20",
    )
    first = world.quarter("A", 1)
    assert [one.kind for one in first.grants] == ["credit", "instalment"]
    assert [one.drawn.drawn for one in first.settled] == [3, 10]
    assert first.overage == 2
    balance = world.balance("acme")
    assert balance is not None
    assert balance.available == 0  # the 2 left of the credit are no longer drawable
    books = world.trial_balance()
    assert books["contra-revenue"] == 5
    closed = tell(
        small("10"),
        Credit(at=at("2026-02-01"), commit="A", key="c", amount=Fraction(5)),
        until="2026-04-05",
    )
    assert closed.quarter("A", 1).credits_expired == 5
    assert closed.quarter("A", 1).breakage == 0
    assert "contra-revenue" not in closed.trial_balance()


def test_a_credit_that_rolls_comes_last_and_rolls() -> None:
    """It is drawn after the instalment, and is a rollover in the next quarter."""
    world = tell(
        small("10"),
        spend("2026-01-10", "12", "a"),
        Credit(at=at("2026-02-01"), commit="A", key="c", amount=Fraction(5), rolls_over=True),
        until="2026-04-05",
    )
    second = world.quarter("A", 2)
    assert [one.kind for one in second.grants] == ["rollover", "instalment"]
    assert [one.amount for one in second.grants] == [3, 10]


def test_money_that_arrives_covers_overage_first() -> None:
    """A true-up in a quarter with accrued overage: usage revenue instead of overage."""
    use = spend("2026-01-10", "12", "a")
    true_up = (
        RequestTrueUp(at=at("2026-02-01"), commit="A", key="t", amount=Fraction(5)),
        ApproveTrueUp(at=at("2026-02-02"), key="t"),
    )
    before = tell(small("10"), use, until="2026-02-03").trial_balance()
    after = tell(small("10"), use, *true_up, until="2026-02-03").trial_balance()
    assert before == {
        "accounts receivable": 10,
        "unbilled receivable": 2,
        "overage revenue": -2,
        "usage revenue": -10,
    }
    # the grant of 5 is not invoiced yet, 3 of it remain: a debit of 2
    assert after == {"accounts receivable": 10, "deferred revenue A Q1": 2, "usage revenue": -12}


def test_the_next_quarter_runs_while_the_last_waits() -> None:
    """It draws on its own instalment; the rollover to come is shown beside it."""
    told = (spend("2026-01-10", "4", "a"), spend("2026-04-02", "12", "b"))
    balance = tell(small("10"), *told, until="2026-04-03").balance("acme")
    assert balance is not None
    assert [balance.granted, balance.overage, balance.pending_rollover] == [10, 2, 6]
    closed = tell(small("10"), *told, until="2026-04-04").balance("acme")
    assert closed is not None
    assert [closed.granted, closed.overage, closed.available] == [16, 0, 4]
