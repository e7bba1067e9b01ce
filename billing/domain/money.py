"""Money: exact dollars in twelve decimals, whole cents on invoices, and nothing in between.

Owns the arithmetic rules of the books. `Decimal` everywhere; a float never comes near value.
Multiplication and addition are exact: the decimal context is widened once, here, because
Python's default of 28 digits rounds longer results silently.
"""

import decimal
from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

DECIMALS = 12
QUANTUM = Decimal(1).scaleb(-DECIMALS)
CENT = Decimal("0.01")
ZERO = Decimal(0)
_PLAIN = f".{DECIMALS}f"

# 26 integer digits of a NUMERIC(38, 12) times a 30 digit quantity, with room to add.
_DIGITS = 100


def widen_decimal_context() -> None:
    """Make sums and products of money exact in this thread and in every thread begun later."""
    decimal.DefaultContext.prec = _DIGITS
    decimal.setcontext(Context(prec=_DIGITS, rounding=decimal.ROUND_HALF_EVEN))


# At import, because nothing can be right without it: whoever touches money imports this module,
# and a thread copies the default context at its first arithmetic.
widen_decimal_context()


def round_half_away(value: Decimal, quantum: Decimal = QUANTUM) -> Decimal:
    """`value` to a multiple of `quantum`, halves away from zero."""
    return value.quantize(quantum, rounding=ROUND_HALF_UP)


def cut(value: Decimal, quantum: Decimal = QUANTUM) -> Decimal:
    """`value` cut down (toward zero) to a multiple of `quantum`."""
    return value.quantize(quantum, rounding=ROUND_DOWN)


def to_cents(dollars: Decimal) -> int:
    """Exact dollars as whole cents, halves away from zero: the only rounding of an invoice."""
    return int(round_half_away(dollars, CENT).scaleb(2))


def from_cents(cents: int) -> Decimal:
    """Whole cents as exact dollars."""
    return Decimal(cents).scaleb(-2)


def is_whole_cents(dollars: Decimal) -> bool:
    """Whether an amount can stand on an invoice as it is."""
    return dollars == dollars.quantize(CENT, rounding=ROUND_DOWN)


def has_more_decimals_than(value: Decimal, decimals: int) -> bool:
    """Whether a column with `decimals` decimals would have to round `value`."""
    exponent = value.normalize().as_tuple().exponent
    return isinstance(exponent, int) and -exponent > decimals


def plain(value: Decimal) -> str:
    """A dollar amount as the API writes it: twelve decimals, no exponent."""
    return format(value, _PLAIN)


def split_by_largest_remainder(total: int, weights: Sequence[Decimal]) -> list[int]:
    """Split `total` whole units in proportion to `weights`, so that the parts add up exactly.

    Hamilton's method: everyone gets the floor of the exact share; what is left goes one by one
    to the largest remainders, ties to the earlier place in `weights` (callers sort first).
    Raises ValueError if a weight is negative or if there is something to split over nothing.
    """
    if total < 0 or any(weight < 0 for weight in weights):
        raise ValueError("neither the total nor a weight may be negative")
    whole = sum(weights, ZERO)
    if whole == 0:
        if total:
            raise ValueError("nothing to split the total over")
        return [0] * len(weights)
    scaled = [_over(total * weight, whole) for weight in weights]
    parts = [floor for floor, _ in scaled]
    order = sorted(range(len(parts)), key=lambda place: (-scaled[place][1], place))
    for place in order[: total - sum(parts)]:
        parts[place] += 1
    return parts


def _over(numerator: Decimal, denominator: Decimal) -> tuple[int, Decimal]:
    """Floor and remainder of a quotient, exact for any number of digits."""
    floor, remainder = divmod(numerator, denominator)
    return int(floor), remainder
