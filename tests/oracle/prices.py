"""Committed rates: list price -> mode -> protection -> discount or override -> rate."""

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

from .money import round_rate
from .quarters import boundary
from .terms import Commit, Price

MODE_FACTOR = {"batch": Fraction(1, 2), "dedicated_serverless": Fraction(1)}


def units_quoted(meter: str) -> int:
    """Prices are quoted per million tokens, per GPU-hour (in seconds), else per unit."""
    if meter.endswith("_tokens"):
        return 1_000_000
    return 3600 if meter == "gpu_seconds" else 1


def book_of(book: Sequence[Price], private: Sequence[Price]) -> list[Price]:
    """The price book as a customer sees it that has private prices.

    From its instant on a private price stands in for everybody's under exactly its key, for good.
    """
    since: dict[tuple[str, str, str], datetime] = {}
    for price in private:
        key = (price.model, price.mode, price.meter)
        since[key] = min(since.get(key, price.effective_at), price.effective_at)
    listed = [
        price
        for price in book
        if (price.model, price.mode, price.meter) not in since
        or price.effective_at < since[price.model, price.mode, price.meter]
    ]
    return [*listed, *private]


def quoted(
    book: Sequence[Price], model: str, mode: str, meter: str, at: datetime
) -> Fraction | None:
    """The price in force at an instant under exactly this key; the latest added wins a tie."""
    dated = [
        price
        for price in book
        if (price.model, price.mode, price.meter) == (model, mode, meter)
        and price.effective_at <= at
    ]
    if not dated:
        return None
    latest = max(price.effective_at for price in dated)
    return [price.price for price in dated if price.effective_at == latest][-1]


def list_price(
    book: Sequence[Price], model: str, mode: str, meter: str, at: datetime
) -> Fraction | None:
    """The list price with missing ones filled.

    A missing mode comes from the serverless price of the same meter times the mode's factor;
    where the cached serverless price is missing too, cached input costs what input costs in
    that mode.
    """
    price = quoted(book, model, mode, meter, at)
    if price is None and mode in MODE_FACTOR:
        serverless = quoted(book, model, "serverless", meter, at)
        price = None if serverless is None else serverless * MODE_FACTOR[mode]
    if price is None and meter == "cached_input_tokens":
        return list_price(book, model, mode, "input_tokens", at)
    return price


def protected_price(
    book: Sequence[Price], commit: Commit, model: str, mode: str, meter: str, at: datetime
) -> Fraction | None:
    """The list price, capped at the one of the commit's start or of its first appearance."""
    price = list_price(book, model, mode, meter, at)
    if price is None or not commit.price_protection:
        return price
    start = boundary(commit, 1)
    instants = sorted(
        {start}
        | {
            entry.effective_at
            for entry in book
            if entry.model == model and start < entry.effective_at <= at
        }
    )
    for instant in instants:
        cap = list_price(book, model, mode, meter, instant)
        if cap is not None:
            return min(price, cap)
    return price


def committed_rate(
    book: Sequence[Price],
    commit: Commit,
    overrides: Sequence[Price],
    discount: Fraction,
    key: tuple[str, str, str],
    at: datetime,
) -> Fraction | None:
    """Dollars per single unit for (model, mode, meter), rounded once, or None without a price.

    An override is taken as it stands: not derived from, not discounted, not protected.
    """
    fixed = quoted(overrides, *key, at)
    if fixed is not None:
        return round_rate(fixed / units_quoted(key[2]))
    price = protected_price(book, commit, *key, at)
    if price is None:
        return None
    return round_rate(price / units_quoted(key[2]) * (1 - discount))
