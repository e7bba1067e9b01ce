"""The end of the term: tail, expire, refund, renewal, and uncommitted customers."""

from datetime import date
from fractions import Fraction

from .cast import at, lines, small, spend, tell, totals, uncommitted
from .happenings import Credit, Sign
from .terms import Rollover


def test_the_tail_ends_with_the_first_quarter_that_rolls_nothing_out() -> None:
    """Two quarters of term, one tail quarter with money, one that uses it up."""
    world = tell(small(), spend("2026-10-10", "200", "u"), until="2027-04-05")
    assert [one.slot.index for one in world.quarters("A")] == [1, 2, 3, 4]
    assert [one.rolled_out for one in world.quarters("A")] == [100, 200, 200, 0]
    assert world.balance("acme", at("2027-01-01")) is None


def test_usage_in_the_tail_is_overage_at_the_committed_rate() -> None:
    """At least one tail quarter always exists; usage after the end is unrated."""
    world = tell(
        small("100", 1),
        spend("2026-01-10", "100", "a"),
        spend("2026-04-10", "7", "b"),
        spend("2026-08-01", "9", "c"),
        until="2026-08-02",
    )
    assert totals(world) == [10000, 700]
    assert [one.reason for one in world.usage().unrated] == ["no_commit"]


def test_a_limited_tail_lapses_at_its_end() -> None:
    """tail with 1 quarter: what is left after it is breakage."""
    world = tell(small(end="tail", end_quarters=1), until="2027-04-05")
    assert [one.breakage for one in world.quarters("A")] == [0, 0, 200]
    assert world.trial_balance() == {"accounts receivable": 200, "breakage revenue": -200}


def test_expire_at_the_end_of_the_term_or_of_tail_quarters() -> None:
    """Without tail quarters of its own the commit is over with its term."""
    world = tell(small(end="expire"), until="2027-04-05")
    assert [one.breakage for one in world.quarters("A")] == [0, 200]
    later = tell(small(end="expire", end_quarters=2), until="2027-04-05")
    assert [one.breakage for one in later.quarters("A")] == [0, 0, 0, 200]


def test_refund_returns_paid_money_to_the_cent_and_no_credit() -> None:
    """Fraction and cap do not apply; the rest of a cent goes to rounding."""
    world = tell(
        small(end="refund", rollover=Rollover(cap=Fraction(0))),
        spend("2026-05-01", "30.001", "u"),
        Credit(
            at=at("2026-07-02"), commit="A", key="c", amount=Fraction(5), quarter=2, rolls_over=True
        ),
        until="2027-01-05",
    )
    second = world.quarter("A", 2)
    assert second.credits_expired == 5
    assert world.quarter("A", 1).breakage == 100
    assert world.trial_balance() == {
        "accounts receivable": Fraction("130.01"),
        "breakage revenue": -100,
        "usage revenue": Fraction("-30.001"),
        "rounding": Fraction("-0.009"),
    }


def test_a_renewal_receives_the_rollover_and_yields_no_tail() -> None:
    """Signed before the last term quarter closed, even where the end says expire."""
    second = small("50", 1, key="B", starts_on=date(2026, 7, 1))
    world = tell(
        small(end="expire"),
        spend("2026-01-10", "40", "u"),
        Sign(at=at("2026-07-02"), commit=second),
        until="2026-07-05",
    )
    assert [one.slot.index for one in world.quarters("A")] == [1, 2]
    assert [one.amount for one in world.quarter("B", 1).grants] == [60, 100, 50]
    assert totals(world) == [10000, 10000, 5000]


def test_a_renewal_continues_the_cents() -> None:
    """1.004 + 1.004 of overage bill 1.00 and 1.01 over two commits of one chain."""
    second = small("100", 1, key="B", starts_on=date(2026, 4, 1))
    world = tell(
        small("100", 1),
        Sign(at=at("2026-03-01"), commit=second),
        spend("2026-01-10", "101.004", "a"),
        spend("2026-05-10", "101.004", "b"),
        until="2026-07-05",
    )
    assert [one.cents("overage") for one in world.invoices("acme")] == [0, 0, 100, 101]


def test_a_successor_signed_in_the_tail_starts_at_the_end_of_a_tail_quarter() -> None:
    """It receives that quarter's rollover; another start is refused."""
    world = tell(small(), until="2026-08-01")
    for key, day, answer in (
        ("X", date(2026, 9, 1), "refused"),
        ("Y", date(2026, 7, 1), "refused"),
        ("B", date(2026, 10, 1), "ok"),
    ):
        assert (
            world.apply(Sign(at=at("2026-08-01"), commit=small("50", 1, key=key, starts_on=day)))
            == answer
        )
    world.run([])
    assert world.quarters("A")[-1].slot.index == 3


def test_an_uncommitted_customer_is_cut_by_a_signed_commit() -> None:
    """Monthly periods; the running one ends where the commit starts."""
    signed = small("100", 1, key="B", starts_on=date(2026, 2, 11))
    world = tell(
        uncommitted(),
        spend("2026-01-10", "5", "a"),
        spend("2026-02-10", "6", "b"),
        spend("2026-02-11", "7", "c"),
        Sign(at=at("2026-02-08"), commit=signed),
        until="2026-02-15",
    )
    assert [one.slot.end for one in world.quarters("U")] == [at("2026-02-01"), at("2026-02-11")]
    assert [one.used for one in world.quarters("U")] == [5, 6]
    assert world.quarter("B", 1).used == 7
    assert lines(world, 3) == [("overage", 2, 600)]
