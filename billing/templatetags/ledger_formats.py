"""How figures are written for people: dollars, cents, rates, quantities and UTC instants.

Used by the finance admin and the customer's pages. Rounding happens here for the eye only; the
exact twelve decimals always stand in the title.
"""

from datetime import UTC, date, datetime
from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.domain.money import CENT, from_cents, plain, round_half_away

register = template.Library()
MINUS = "−"  # noqa: RUF001 - the typographic minus is as wide as a digit.
_MICRO = Decimal("0.000001")
# What a quoted rate is per, by meter; any other meter is quoted per single unit.
_QUOTED = {
    "input_tokens": (1_000_000, "1M tokens"),
    "cached_input_tokens": (1_000_000, "1M tokens"),
    "output_tokens": (1_000_000, "1M tokens"),
    "gpu_seconds": (3_600, "GPU-hour"),
}


def _signed(value: Decimal, digits: str) -> str:
    return f"{MINUS if value < 0 else ''}${digits}"


def dollars(value: Decimal) -> str:
    """Dollars to the cent, with thousands separators: $1,234.56."""
    shown = round_half_away(value, CENT)
    return _signed(shown, f"{abs(shown):,.2f}")


@register.filter
def exact(value: Decimal) -> str:
    """Dollars with every decimal that is not a trailing zero, at least two: $3,749.876544."""
    whole, _, decimals = f"{abs(value):,.12f}".partition(".")
    return _signed(value, f"{whole}.{decimals.rstrip('0'):0<2}")


@register.filter
def money(value: Decimal | None) -> SafeString | str:
    """Dollars to the cent; the exact amount in the title, marked where they differ."""
    if value is None:
        return ""
    rounded = "" if value == round_half_away(value, CENT) else " is-rounded"
    return format_html(
        '<span class="money{}" title="{} dollars exactly">{}</span>',
        rounded,
        plain(value),
        dollars(value),
    )


@register.filter
def cents(value: int | None) -> str:
    """Whole cents as dollars."""
    return "" if value is None else dollars(from_cents(value))


@register.filter
def quantity(value: int | Decimal | None) -> str:
    """A count with thousands separators."""
    return "" if value is None else f"{int(value):,}"


def short(value: Decimal) -> str:
    """Dollars to at most six decimals, at least two: what a quoted rate needs."""
    return exact(round_half_away(value, _MICRO))


def per_words(meter: str, unit: str, units: int) -> str:
    """What a price of the book is quoted per."""
    known = _QUOTED.get(meter)
    if known and known[0] == units:
        return known[1]
    word = unit.replace("_", " ")
    return word if units == 1 else f"{units:,} {word}s"


@register.filter
def rate(value: Decimal | None, meter: str = "") -> SafeString | str:
    """A rate as it is quoted (per million tokens, per GPU-hour); exact per unit in the title."""
    if value is None:
        return ""
    units, per = _QUOTED.get(meter, (1, meter.removesuffix("s").replace("_", " ") or "unit"))
    return format_html(
        '<span class="money" title="{} dollars per single unit exactly">{}</span>'
        ' <span class="per">/ {}</span>',
        plain(value),
        short(value * units),
        per,
    )


@register.filter
def bought(units: int, meter: str) -> SafeString | str:
    """How much a balance buys, in what people count: tokens, GPU-hours, or the meter's unit."""
    if meter == "gpu_seconds" and units >= 3_600:
        return format_html('{} <span class="per">GPU-hours</span>', quantity(units // 3_600))
    return format_html('{} <span class="per">{}</span>', quantity(units), meter.split("_")[-1])


@register.filter
def instant(value: datetime | None) -> str:
    """An instant in UTC, and said so."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def stamp(value: datetime | None) -> str:
    """An instant under a heading that says UTC already."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"


@register.filter
def day(value: date | datetime | None) -> str:
    """A UTC day as people write it: 4 Apr 2026."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = value.astimezone(UTC).date()
    return f"{value.day} {value:%b %Y}"


@register.filter
def percent(value: Decimal | None) -> str:
    """A share as a percentage without trailing zeros: 20 %."""
    if value is None:
        return ""
    return f"{(value * 100).normalize():f} %"


@register.filter
def words(value: object) -> str:
    """An identifier as words: `late_usage` reads Late usage."""
    return (
        str(value)
        .replace("_", " ")
        .capitalize()
        .replace("True up", "True-up")
        .replace("Gpu", "GPU")
    )
