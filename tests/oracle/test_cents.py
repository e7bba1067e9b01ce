"""Cents: cumulative rounding, Stripe's minimum, and the split over lines."""

from fractions import Fraction

from .cast import at, lines, price, small, spend, tell, totals, uncommitted
from .happenings import AddPrice
from .money import cents_of, split_cents


def test_cents_round_half_away_and_split_by_largest_remainder() -> None:
    """Ties go to the first in order."""
    assert [cents_of(Fraction(one)) for one in ("0.005", "0.0049", "1.015")] == [1, 0, 102]
    assert split_cents(100, [Fraction(1)] * 3) == [34, 33, 33]
    assert split_cents(5, [Fraction(1), Fraction(3)]) == [1, 4]
    assert split_cents(2, [Fraction(1, 10), Fraction(19, 10)]) == [0, 2]


def test_rounding_is_cumulative() -> None:
    """Three quarters of 1.004 bill 1.00, 1.01 and 1.00: never three times 1.00."""
    days = ("2026-01-10", "2026-04-10", "2026-07-10")
    world = tell(small("1", 4), *(spend(day, "2.004", day) for day in days), until="2026-10-05")
    assert [one.cents("overage") for one in world.invoices("acme")] == [0, 100, 101, 100]
    assert world.trial_balance()["unbilled receivable"] == Fraction("0.002")


def test_a_close_below_the_minimum_is_carried() -> None:
    """0.30 waits; with 0.30 more an invoice of 0.60 names both quarters."""
    world = tell(
        uncommitted(),
        spend("2026-01-05", "0.30", "a"),
        spend("2026-02-05", "0.30", "b"),
        until="2026-03-05",
    )
    assert totals(world) == [60]
    assert lines(world, 1) == [("overage", 1, 30), ("overage", 2, 30)]


def test_at_the_end_what_is_below_the_minimum_goes_to_rounding() -> None:
    """The tail closes with 0.30 to bill: no invoice, and nothing stays unbilled."""
    world = tell(small("1", 1), spend("2026-04-10", "1.30", "b"), until="2026-07-05")
    assert totals(world) == [100]
    books = world.trial_balance()
    assert books["rounding"] == Fraction("0.30")
    assert "unbilled receivable" not in books


def test_overage_is_shared_over_all_groups_of_the_quarter() -> None:
    """In proportion to their dollars, with their share of the quantity."""
    second = AddPrice(
        at=at("2026-01-02"), price=price("n", "serverless", "units", "0.0000025", "2026-01-02")
    )
    world = tell(
        small("10", 1),
        second,
        spend("2026-01-10", "6", "a"),
        spend("2026-01-11", "5", "b", model="n"),
        until="2026-04-05",
    )
    found = world.invoices("acme")[1].lines
    assert [(one.model, one.cents, one.quantity) for one in found] == [
        ("m", 225, 2_250_000),
        ("n", 375, 1_875_000),
    ]
