"""Committed rates against the same rules told in fractions and in the most naive way."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from metering.domain.rates import (
    Dated,
    PriceBook,
    PriceKey,
    Series,
    Terms,
    committed_rate,
    per_unit,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
MODES = ["serverless", "batch", "dedicated_serverless", "dedicated"]
METERS = ["input_tokens", "cached_input_tokens", "output_tokens"]
UNITS = 1_000_000

hours = st.integers(0, 12).map(lambda hour: START + timedelta(hours=hour))
prices = st.decimals(0, 1000, places=12)
keys = st.builds(PriceKey, st.just("m"), st.sampled_from(MODES), st.sampled_from(METERS))
rows = st.dictionaries(st.tuples(keys, hours), prices, max_size=14)
discounts = st.dictionaries(hours, st.decimals(0, "0.99999999", places=8), max_size=3)


def series(found: dict[tuple[PriceKey, datetime], Decimal]) -> dict[PriceKey, Series]:
    return {
        key: Series.of(Dated(at, price) for (other, at), price in found.items() if other == key)
        for key, _ in found
    }


def quoted(
    found: dict[tuple[PriceKey, datetime], Decimal], key: PriceKey, at: datetime
) -> Fraction | None:
    dated = {when: price for (other, when), price in found.items() if other == key and when <= at}
    return Fraction(dated[max(dated)]) if dated else None


def listed(
    found: dict[tuple[PriceKey, datetime], Decimal], key: PriceKey, at: datetime
) -> Fraction | None:
    model, mode, meter = key
    exact = quoted(found, key, at)
    if exact is not None:
        return exact
    filled = quoted(found, PriceKey(model, "serverless", meter), at)
    if filled is not None and mode == "batch":
        return filled / 2
    if filled is not None and mode == "dedicated_serverless":
        return filled
    if meter == "cached_input_tokens":
        return listed(found, PriceKey(model, mode, "input_tokens"), at)
    return None


def half_away(value: Fraction) -> Fraction:
    scaled = value * 10**12
    whole, rest = divmod(scaled, 1)
    return Fraction(int(whole) + (rest >= Fraction(1, 2)), 10**12)


@settings(deadline=None)
@given(rows, rows, discounts, keys, hours, st.none() | hours)
def test_rates_follow_the_rules_told_in_fractions(
    book: dict[tuple[PriceKey, datetime], Decimal],
    overrides: dict[tuple[PriceKey, datetime], Decimal],
    dated: dict[datetime, Decimal],
    key: PriceKey,
    at: datetime,
    protected_from: datetime | None,
) -> None:
    if protected_from is not None:
        protected_from = min(protected_from, at)
    card = Terms(
        protected_from,
        Series.of(Dated(when, value) for when, value in dated.items()),
        series(overrides),
    )
    found = committed_rate(PriceBook(series(book), dict.fromkeys(METERS, UNITS)), card, key, at)

    expected = quoted(overrides, key, at)
    if expected is None:
        expected = listed(book, key, at)
        if expected is not None and protected_from is not None:
            hour = protected_from
            while (cap := listed(book, key, hour)) is None:
                hour += timedelta(hours=1)
            expected = min(expected, cap)
        if expected is not None:
            best = max((value for when, value in dated.items() if when <= at), default=Decimal(0))
            expected *= 1 - Fraction(best)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert Fraction(found.rate) == half_away(expected / UNITS)


@settings(deadline=None)
@given(st.decimals(0, 10**15, places=20), st.integers(1, 10**7))
def test_rounding_to_a_unit_is_within_half_a_quantum_and_exact(
    dollars: Decimal, units: int
) -> None:
    rate = per_unit(dollars, units)
    error = Fraction(rate) - Fraction(dollars) / units
    assert -Fraction(1, 2 * 10**12) < error <= Fraction(1, 2 * 10**12)
    assert rate == rate.quantize(Decimal("1E-12"))
