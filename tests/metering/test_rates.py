"""Committed rates, with a pencil: one rule a test."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from metering.domain.rates import (
    Dated,
    PriceBook,
    PriceKey,
    Series,
    Terms,
    committed_rate,
    list_price,
    per_unit,
)

UNITS = {
    "input_tokens": 1_000_000,
    "cached_input_tokens": 1_000_000,
    "output_tokens": 1_000_000,
    "gpu_seconds": 3600,
    "images": 1,
}
JAN, FEB, MAR, APR = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))


def book(*prices: tuple[str, str, datetime, str]) -> PriceBook:
    """A price book of the model "m": (mode, meter, from when, price)."""
    series: dict[PriceKey, list[Dated]] = {}
    for mode, meter, at, price in prices:
        series.setdefault(PriceKey("m", mode, meter), []).append(Dated(at, Decimal(price)))
    return PriceBook({key: Series.of(dated) for key, dated in series.items()}, UNITS)


def terms(
    discount: str = "0",
    protected_from: datetime | None = None,
    overrides: dict[PriceKey, Series] | None = None,
) -> Terms:
    return Terms(protected_from, Series.of([Dated(JAN, Decimal(discount))]), overrides or {})


def rate(
    of: PriceBook, mode: str, meter: str, at: datetime, card: Terms | None = None
) -> str | None:
    found = committed_rate(of, card or terms(), PriceKey("m", mode, meter), at)
    return None if found is None else f"{found.rate:f}"


def test_a_price_counts_from_its_instant_until_the_next() -> None:
    prices = book(("serverless", "images", FEB, "2"), ("serverless", "images", MAR, "3"))
    assert rate(prices, "serverless", "images", JAN) is None
    assert rate(prices, "serverless", "images", FEB) == "2.000000000000"
    assert rate(prices, "serverless", "images", MAR) == "3.000000000000"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("batch", "0.000000300000"), ("dedicated_serverless", "0.000000600000"), ("dedicated", None)],
)
def test_a_missing_mode_is_filled_from_serverless(mode: str, expected: str | None) -> None:
    prices = book(("serverless", "output_tokens", JAN, "0.6"))
    assert rate(prices, mode, "output_tokens", FEB) == expected


def test_a_quoted_mode_is_not_derived() -> None:
    prices = book(
        ("serverless", "output_tokens", JAN, "0.6"), ("batch", "output_tokens", JAN, "0.5")
    )
    assert rate(prices, "batch", "output_tokens", FEB) == "0.000000500000"


def test_a_missing_cached_price_is_the_input_price_of_its_mode() -> None:
    prices = book(("serverless", "input_tokens", JAN, "1"), ("batch", "input_tokens", JAN, "0.7"))
    assert rate(prices, "serverless", "cached_input_tokens", FEB) == "0.000001000000"
    assert rate(prices, "batch", "cached_input_tokens", FEB) == "0.000000700000"
    assert rate(prices, "dedicated_serverless", "cached_input_tokens", FEB) == "0.000001000000"


def test_a_cached_serverless_price_goes_before_the_input_price() -> None:
    prices = book(
        ("serverless", "cached_input_tokens", JAN, "0.4"), ("batch", "input_tokens", JAN, "0.7")
    )
    assert rate(prices, "batch", "cached_input_tokens", FEB) == "0.000000200000"


def test_protection_caps_a_rise_and_lets_a_cut_through() -> None:
    prices = book(
        ("serverless", "images", JAN, "2"),
        ("serverless", "images", MAR, "3"),
        ("serverless", "images", APR, "1"),
    )
    card = terms(protected_from=FEB)
    assert rate(prices, "serverless", "images", MAR, card) == "2.000000000000"
    assert rate(prices, "serverless", "images", APR, card) == "1.000000000000"
    assert rate(prices, "serverless", "images", MAR) == "3.000000000000"


def test_a_later_model_is_protected_at_its_first_appearance() -> None:
    prices = book(("serverless", "images", FEB, "2"), ("serverless", "images", MAR, "3"))
    assert rate(prices, "serverless", "images", APR, terms(protected_from=JAN)) == "2.000000000000"


def test_the_first_appearance_is_that_of_the_filled_price() -> None:
    """Batch is first quoted in March, but has had a price from serverless since February."""
    prices = book(("serverless", "images", FEB, "2"), ("batch", "images", MAR, "3"))
    assert rate(prices, "batch", "images", APR, terms(protected_from=JAN)) == "1.000000000000"


def test_the_discount_applies_to_the_protected_price() -> None:
    prices = book(("serverless", "images", JAN, "2"), ("serverless", "images", MAR, "3"))
    card = terms("0.25", protected_from=JAN)
    assert rate(prices, "serverless", "images", APR, card) == "1.500000000000"


def test_the_best_discount_that_has_come_into_force_applies() -> None:
    prices = book(("serverless", "images", JAN, "1"))
    card = Terms(
        None,
        Series.of([Dated(JAN, Decimal("0.1")), Dated(MAR, Decimal("0.2")),
                   Dated(FEB, Decimal("0.3"))]),
        {},
    )  # fmt: skip
    assert rate(prices, "serverless", "images", JAN, card) == "0.900000000000"
    assert rate(prices, "serverless", "images", APR, card) == "0.700000000000"


def test_an_override_is_neither_discounted_nor_protected_nor_derived_from() -> None:
    prices = book(("serverless", "images", JAN, "2"))
    fixed = {PriceKey("m", "serverless", "images"): Series.of([Dated(FEB, Decimal(5))])}
    card = terms("0.5", protected_from=JAN, overrides=fixed)
    assert rate(prices, "serverless", "images", JAN, card) == "1.000000000000"
    assert rate(prices, "serverless", "images", FEB, card) == "5.000000000000"
    assert rate(prices, "batch", "images", FEB, card) == "0.500000000000"


def test_a_rate_is_rounded_once_halves_away_from_zero() -> None:
    assert per_unit(Decimal("0.0018"), 3600) == Decimal("0.0000005")
    assert per_unit(Decimal("0.0000005"), 1_000_000) == Decimal("1E-12")
    assert per_unit(Decimal("0.000000499999999999"), 1_000_000) == Decimal(0)
    assert per_unit(Decimal(1), 3600) == Decimal("0.000277777778")


def test_a_meter_without_a_definition_has_no_rate() -> None:
    prices = PriceBook(book(("serverless", "images", JAN, "2")).prices, {})
    assert rate(prices, "serverless", "images", FEB) is None


def test_an_explained_rate_says_what_it_was_filled_from() -> None:
    prices = book(("serverless", "images", JAN, "2"))
    found = list_price(prices, PriceKey("m", "batch", "images"), FEB)
    assert found is not None
    assert (found.price, found.quoted_under.mode, found.factor) == (
        Decimal(1), "serverless", Decimal("0.5"),
    )  # fmt: skip
