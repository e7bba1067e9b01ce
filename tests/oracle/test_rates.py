"""Rates: fill, protection, discount, override, rounding, and what prices may not do."""

from datetime import UTC, datetime
from fractions import Fraction

from .cast import at, price, small, spend, tell
from .happenings import AddOverride, AddPrice, ApproveTrueUp, RequestTrueUp, Use, token_meters
from .money import round_rate
from .prices import committed_rate, list_price
from .terms import Commit, Price

BOOK = [
    price("a", "serverless", "input_tokens", "2"),
    price("a", "serverless", "output_tokens", "6"),
    price("b", "serverless", "input_tokens", "2"),
    price("b", "serverless", "cached_input_tokens", "1"),
    price("b", "batch", "input_tokens", "0.8"),
    price("h100", "dedicated", "gpu_seconds", "4.00"),
]
NOW = at("2026-02-01")


def filled(model: str, mode: str, meter: str) -> Fraction | None:
    """The list price after filling."""
    return list_price(BOOK, model, mode, meter, NOW)


def rate(commit: Commit, *book: Price, when: datetime = NOW) -> Fraction | None:
    """The rate of the first price's key."""
    first = book[0]
    return committed_rate(
        book,
        commit,
        commit.overrides,
        commit.discount,
        (first.model, first.mode, first.meter),
        when,
    )


def test_a_missing_mode_comes_from_serverless() -> None:
    """Batch is half, reserved endpoints the same, per GPU-hour is never derived."""
    assert filled("a", "batch", "output_tokens") == 3
    assert filled("a", "dedicated_serverless", "output_tokens") == 6
    assert filled("a", "dedicated", "output_tokens") is None
    assert filled("h100", "serverless", "gpu_seconds") is None


def test_missing_cached_input_costs_what_input_costs_in_that_mode() -> None:
    """Only where the cached serverless price is missing too."""
    assert filled("a", "serverless", "cached_input_tokens") == 2
    assert filled("a", "batch", "cached_input_tokens") == 1
    assert filled("b", "batch", "cached_input_tokens") == Fraction("0.5")
    assert filled("b", "batch", "input_tokens") == Fraction("0.8")


def test_a_rate_is_per_single_unit_to_12_decimals_half_away() -> None:
    """4.00 an hour at 20 % off is 3.2 / 3600 a second, rounded once."""
    assert rate(small(), BOOK[-1]) == Fraction("0.000888888889")
    assert round_rate(Fraction("0.0000000000005")) == Fraction("0.000000000001")
    assert rate(small(), price("a", "serverless", "input_tokens", "0.123456789")) == Fraction(
        "0.000000098765"
    )


def test_protection_caps_the_list_price_at_the_start() -> None:
    """A rise does not reach the customer, a cut does."""
    first = price("a", "serverless", "images", "1")
    rise, fall = (
        price("a", "serverless", "images", amount, "2026-01-10") for amount in ("2", "0.50")
    )
    assert rate(small(), first, rise) == Fraction("0.8")
    assert rate(small(price_protection=False), first, rise) == Fraction("1.6")
    assert rate(small(), first, fall) == Fraction("0.4")
    assert rate(
        small(), first, fall, price("a", "serverless", "images", "0.70", "2026-01-20")
    ) == Fraction("0.56")


def test_a_later_model_is_protected_at_its_first_appearance() -> None:
    """It is usable at once, at the commit's discount."""
    first = price("new", "serverless", "images", "1", "2026-01-05")
    rise = price("new", "serverless", "images", "3", "2026-01-20")
    assert rate(small(), first, rise) == Fraction("0.8")
    assert rate(small(), first, rise, when=at("2026-01-04")) is None


def test_an_override_stands_as_it_is() -> None:
    """Neither discounted nor protected, from its own instant on, for its own mode only."""
    fixed = price("a", "serverless", "input_tokens", "9", "2026-01-15")
    commit = small(overrides=(fixed,))
    key = ("a", "serverless", "input_tokens")
    rates = [
        committed_rate(BOOK, commit, commit.overrides, commit.discount, key, when)
        for when in (at("2026-01-14T23:00"), at("2026-01-15"))
    ]
    assert rates == [Fraction("0.0000016"), Fraction("0.000009")]
    batch = ("a", "batch", "input_tokens")
    assert committed_rate(BOOK, commit, commit.overrides, commit.discount, batch, NOW) == Fraction(
        "0.0000008"
    )


def test_a_price_may_fill_a_gap_but_not_change_an_amount() -> None:
    """A retroactive price rates what waited; one that changes rated usage is refused."""
    world = tell(
        small(),
        spend("2026-02-01", "10", "u"),
        spend("2026-02-01", "10", "x", model="unknown"),
        until="2026-02-02",
    )
    balance = world.balance("acme")
    assert balance is not None
    assert balance.used == 10
    assert balance.unrated_events == 1
    now = at("2026-02-03")
    again = price("m", "serverless", "units", "0.0000001", "2026-01-20")
    assert world.apply(AddPrice(at=now, price=again)) == "price_in_force"
    assert world.apply(AddOverride(at=now, commit="A", price=again)) == "price_in_force"
    gap = price("unknown", "serverless", "units", "0.0000025", "2026-01-20")
    assert world.apply(AddPrice(at=now, price=gap)) == "ok"
    assert world.quarter("A", 1).used == 30
    odd = Price(
        model="m",
        mode="batch",
        meter="units",
        price=Fraction(1),
        effective_at=datetime(2026, 3, 1, 0, 30, tzinfo=UTC),
    )
    assert world.apply(AddPrice(at=now, price=odd)) == "refused"


def test_reported_tokens_are_disjoint_meters() -> None:
    """Input includes cached input: 1200 with 800 cached are 400 + 800."""
    assert token_meters(1200, 800, 150) == (
        ("input_tokens", 400),
        ("cached_input_tokens", 800),
        ("output_tokens", 150),
    )


def test_a_true_up_may_better_the_discount() -> None:
    """From the next whole hour after approval; usage before keeps its rate."""
    approved = datetime(2026, 2, 10, 9, 20, tzinfo=UTC)
    use = [
        Use(
            at=at("2026-02-11"),
            customer="acme",
            id=str(hour),
            model="m",
            occurred_at=datetime(2026, 2, 10, hour, 30, tzinfo=UTC),
            quantities=(("units", 8_000_000),),
        )
        for hour in (9, 10)
    ]
    world = tell(
        small(),
        RequestTrueUp(
            at=at("2026-02-10"), commit="A", key="t", amount=Fraction(5), discount=Fraction("0.40")
        ),
        ApproveTrueUp(at=approved, key="t"),
        *use,
        until="2026-02-12",
    )
    rates = [group[3] for group in world.usage().groups(("A", 1))]
    assert rates == [Fraction("0.000001"), Fraction("0.00000075")]
    assert world.quarter("A", 1).used == 14
