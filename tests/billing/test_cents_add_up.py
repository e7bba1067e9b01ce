"""Cents: halves away from zero, and parts that add up to the whole."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.money import (
    from_cents,
    has_more_decimals_than,
    plain,
    split_by_largest_remainder,
    to_cents,
)

WEIGHTS = st.lists(st.decimals(0, 10**12, places=12), min_size=1, max_size=40)


@given(total=st.integers(0, 10**12), weights=WEIGHTS.filter(any))
def test_the_parts_add_up_and_are_within_one_of_their_share(
    total: int, weights: list[Decimal]
) -> None:
    parts = split_by_largest_remainder(total, weights)
    whole = Fraction(sum(weights))
    assert sum(parts) == total
    assert all(
        abs(part - total * Fraction(weight) / whole) < 1
        for part, weight in zip(parts, weights, strict=True)
    )


@given(total=st.integers(0, 10**6), weights=WEIGHTS.filter(any))
def test_nothing_goes_where_there_is_no_weight(total: int, weights: list[Decimal]) -> None:
    parts = split_by_largest_remainder(total, weights)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if not weight)


def test_ties_go_to_the_earlier_place() -> None:
    assert split_by_largest_remainder(2, [Decimal(1)] * 3) == [1, 1, 0]


@pytest.mark.parametrize(("total", "weights"), [(-1, [1]), (1, [-1]), (1, [0, 0])])
def test_what_cannot_be_split_is_refused(total: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match=r"negative|over"):
        split_by_largest_remainder(total, [Decimal(weight) for weight in weights])


@pytest.mark.parametrize(
    ("dollars", "cents"),
    [("0.005", 1), ("-0.005", -1), ("0.004999999999", 0), ("1250.123456", 125012), ("2.675", 268)],
)
def test_halves_go_away_from_zero(dollars: str, cents: int) -> None:
    assert to_cents(Decimal(dollars)) == cents


@given(cents=st.integers(-(10**15), 10**15))
def test_cents_survive_the_round_trip(cents: int) -> None:
    assert to_cents(from_cents(cents)) == cents


def test_sums_and_products_of_money_are_exact() -> None:
    assert Decimal("99999999999999999999999999.999999999999") * 3 == Decimal(
        "299999999999999999999999999.999999999997"
    )


def test_trailing_zeros_are_no_decimals() -> None:
    assert not has_more_decimals_than(Decimal("1.000"), 2)
    assert has_more_decimals_than(Decimal("1.001"), 2)
    assert plain(Decimal("1E+3")) == "1000.000000000000"
