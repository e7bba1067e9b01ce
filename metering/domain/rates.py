"""Committed rates: list price -> mode -> protection -> discount or override -> dollars per unit.

Owns the rules of "Money and rates" in metering/README.md, without a database or a clock. A rate
is rounded once, at its very end, to twelve decimals, halves away from zero; everything before that
is exact. Prices change at whole UTC hours only, so one rate serves a whole hour of a period.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from billing.domain.money import DECIMALS, widen_decimal_context
from metering.domain.meters import CACHED_INPUT_TOKENS, INPUT_TOKENS, Mode

widen_decimal_context()

MODE_FACTORS = {Mode.BATCH: Decimal("0.5"), Mode.DEDICATED_SERVERLESS: Decimal(1)}
ONE = Decimal(1)


class PriceKey(NamedTuple):
    """What a price is for. `model` is a model name or a GPU sku."""

    model: str
    mode: str
    meter: str


@dataclass(frozen=True, slots=True)
class Dated:
    """A value in force from an instant until the next one of its series."""

    effective_at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Series:
    """Values in force one after the other, sorted by the instant from which they are in force."""

    instants: tuple[datetime, ...]
    values: tuple[Decimal, ...]

    @classmethod
    def of(cls, dated: Iterable[Dated]) -> "Series":
        """A series of values given in any order."""
        ordered = sorted(dated, key=lambda one: one.effective_at)
        return cls(tuple(one.effective_at for one in ordered), tuple(one.value for one in ordered))

    def followed_by(self, other: "Series") -> "Series":
        """These values until the first of `other` comes into force, and from then on its own."""
        if not other.instants:
            return self
        place = bisect_left(self.instants, other.instants[0])
        return Series(self.instants[:place] + other.instants, self.values[:place] + other.values)

    def at(self, instant: datetime) -> Decimal | None:
        """The value in force: the latest whose instant is not after `instant`."""
        place = bisect_right(self.instants, instant)
        return self.values[place - 1] if place else None

    def best_until(self, instant: datetime) -> Decimal | None:
        """The largest value that has come into force by `instant`."""
        return max(self.values[: bisect_right(self.instants, instant)], default=None)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All dated list prices, as quoted, and how many units of a meter one quote buys.

    `private_from` says from when on a price is one customer's own (`with_private`).
    """

    prices: Mapping[PriceKey, Series]
    units: Mapping[str, int]
    private_from: Mapping[PriceKey, datetime] = field(default_factory=dict)
    appearances: Mapping[str, tuple[datetime, ...]] = field(init=False)

    def __post_init__(self) -> None:
        seen: dict[str, set[datetime]] = {}
        for key, series in self.prices.items():
            seen.setdefault(key.model, set()).update(series.instants)
        object.__setattr__(
            self, "appearances", {model: tuple(sorted(when)) for model, when in seen.items()}
        )

    def with_private(self, private: Mapping[PriceKey, Series]) -> "PriceBook":
        """The book as a customer sees it that has private prices.

        From its own instant on a private price is the list price of exactly its key, for good;
        modes are filled from it, and protection and discount apply to it, as to any list price.
        """
        prices = dict(self.prices)
        for key, own in private.items():
            listed = prices.get(key)
            prices[key] = listed.followed_by(own) if listed else own
        return PriceBook(prices, self.units, {key: own.instants[0] for key, own in private.items()})

    def is_private(self, key: PriceKey, instant: datetime) -> bool:
        """Whether the price in force under exactly this key is one customer's own."""
        since = self.private_from.get(key)
        return since is not None and since <= instant

    def quoted(self, key: PriceKey, instant: datetime) -> Decimal | None:
        """The price in force under exactly this key."""
        series = self.prices.get(key)
        return series.at(instant) if series else None


@dataclass(frozen=True, slots=True)
class Terms:
    """What one commit's rate card makes of the list prices."""

    protected_from: datetime | None
    discounts: Series
    overrides: Mapping[PriceKey, Series]

    def discount_at(self, instant: datetime) -> Decimal:
        """The discount of a moment: the best that has come into force, 0 before any."""
        return self.discounts.best_until(instant) or Decimal(0)


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A list price, and the quoted price and factor that it was filled from.

    `is_private`: only this customer sees it.
    """

    price: Decimal
    quoted_under: PriceKey
    factor: Decimal = ONE
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Rate:
    """A committed rate with its derivation. `rate` is dollars per single unit, twelve decimals.

    `cap` is the protected list price where there is protection, whether it was lower or not. With
    an override nothing else was looked at.
    """

    key: PriceKey
    at: datetime
    rate: Decimal
    units_per_price: int
    override: Decimal | None = None
    listed: ListPrice | None = None
    cap: Decimal | None = None
    discount: Decimal = Decimal(0)


def per_unit(dollars: Decimal, units: int) -> Decimal:
    """`dollars / units`, rounded once to twelve decimals, halves away from zero.

    In integers, because a Decimal quotient would be rounded before it is rounded. `dollars` is
    not negative, so half away from zero is half up.
    """
    numerator, denominator = dollars.as_integer_ratio()
    denominator *= units
    rounded = (2 * numerator * 10**DECIMALS + denominator) // (2 * denominator)
    return Decimal(rounded).scaleb(-DECIMALS)


def list_price(book: PriceBook, key: PriceKey, instant: datetime) -> ListPrice | None:
    """The list price at an instant, missing ones filled; None if there is nothing to fill from.

    A missing mode comes from the serverless price of the same meter (batch x 0.5, dedicated
    serverless x 1; nothing is derived for dedicated hardware). A cached price that is still
    missing is the input price of that mode, filled likewise.
    """
    exact = book.quoted(key, instant)
    if exact is not None:
        return ListPrice(exact, key, is_private=book.is_private(key, instant))
    factor = MODE_FACTORS.get(key.mode)  # type: ignore[call-overload]
    if factor is not None:
        serverless = key._replace(mode=Mode.SERVERLESS.value)
        price = book.quoted(serverless, instant)
        if price is not None:
            is_private = book.is_private(serverless, instant)
            return ListPrice(price * factor, serverless, factor, is_private)
    if key.meter == CACHED_INPUT_TOKENS:
        return list_price(book, key._replace(meter=INPUT_TOKENS), instant)
    return None


def protected_cap(
    book: PriceBook, key: PriceKey, protected_from: datetime, instant: datetime
) -> Decimal | None:
    """The list price in force at `protected_from`, or at its first appearance after that."""
    found = list_price(book, key, protected_from)
    if found is not None:
        return found.price
    appearances = book.appearances.get(key.model, ())
    for place in range(bisect_right(appearances, protected_from), len(appearances)):
        if appearances[place] > instant:
            break
        found = list_price(book, key, appearances[place])
        if found is not None:
            return found.price
    return None


def committed_rate(book: PriceBook, terms: Terms, key: PriceKey, instant: datetime) -> Rate | None:
    """What one unit costs under a rate card at an instant, or None if it has no price.

    An override fixes exactly its key from its own instant on; it is neither derived from, nor
    discounted, nor protected. Else the list price, capped by protection, less the discount.
    """
    units = book.units.get(key.meter)
    if units is None:
        return None
    overrides = terms.overrides.get(key)
    override = overrides.at(instant) if overrides else None
    if override is not None:
        return Rate(key, instant, per_unit(override, units), units, override=override)
    listed = list_price(book, key, instant)
    if listed is None:
        return None
    cap = None
    if terms.protected_from is not None:
        cap = protected_cap(book, key, terms.protected_from, instant)
    price = listed.price if cap is None else min(listed.price, cap)
    discount = terms.discount_at(instant)
    return Rate(
        key=key,
        at=instant,
        rate=per_unit(price * (1 - discount), units),
        units_per_price=units,
        listed=listed,
        cap=cap,
        discount=discount,
    )
