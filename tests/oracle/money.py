"""Exact money: fractions of a dollar, the two roundings that exist, and the split of cents."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import TypeAlias

Exact: TypeAlias = Fraction | int | str

ZERO = Fraction(0)
RATE_DECIMALS = 12
CENT = Fraction(1, 100)


def dollars(value: Exact) -> Fraction:
    """A dollar amount as a fraction; strings such as "0.20" are exact, floats are refused."""
    if isinstance(value, float):
        raise TypeError("no float anywhere near value")
    return Fraction(value)


def round_half_away(value: Fraction) -> int:
    """The nearest whole number; an exact half goes away from zero."""
    return floor(value + Fraction(1, 2)) if value >= 0 else -floor(-value + Fraction(1, 2))


def round_rate(value: Fraction) -> Fraction:
    """A committed rate: 12 decimals, half away from zero."""
    scale = 10**RATE_DECIMALS
    return Fraction(round_half_away(value * scale), scale)


def cut_down(value: Fraction) -> Fraction:
    """A rolled amount: cut down (never up) to 12 decimals."""
    scale = 10**RATE_DECIMALS
    return Fraction(floor(value * scale), scale)


def cents_of(value: Fraction) -> int:
    """Dollars to whole cents, half away from zero."""
    return round_half_away(value * 100)


def whole_cents_below(value: Fraction) -> int:
    """Dollars to whole cents, cut down (refunds)."""
    return floor(value * 100)


def split_cents(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Split whole cents in proportion to weights by largest remainder.

    The order of `weights` is the order in which equal remainders are served.
    """
    whole = sum(weights, ZERO)
    quotas = [total * weight / whole for weight in weights]
    shares = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: (shares[i] - quotas[i], i))
    for i in by_remainder[: total - sum(shares)]:
        shares[i] += 1
    return shares


def show(value: Fraction) -> str:
    """A decimal string with 12 decimals, as the service prints money; exact or refused."""
    scaled = value * 10**RATE_DECIMALS
    if scaled.denominator != 1:
        raise ValueError(f"{value} has more than 12 decimals")
    sign, digits = ("-" if scaled < 0 else ""), f"{abs(scaled.numerator):013d}"
    return f"{sign}{digits[:-12]}.{digits[-12:]}"
