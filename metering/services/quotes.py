"""What a quoted price must look like before it is written down anywhere."""

from datetime import datetime
from decimal import Decimal

from billing.domain.errors import InvalidInput
from billing.domain.money import DECIMALS, has_more_decimals_than
from billing.domain.text import has_control_characters
from metering.domain.meters import Mode
from metering.models import Meter

MODEL_LENGTH = 200
PRICE_BELOW = Decimal(10) ** 18
MODES = frozenset(mode.value for mode in Mode)


def require_whole_hour(instant: datetime) -> None:
    """Raises InvalidInput `not_a_whole_hour` unless the instant is an aware whole UTC hour."""
    offset = instant.utcoffset()
    if offset is None:
        raise InvalidInput("not_a_whole_hour", "an instant without a time zone")
    if (instant - offset).replace(tzinfo=None) != (instant - offset).replace(
        tzinfo=None, minute=0, second=0, microsecond=0
    ):
        raise InvalidInput("not_a_whole_hour", f"{instant.isoformat()} is not a whole UTC hour")


def check_price(
    *, model: str, mode: str, meter: str, price: Decimal, effective_at: datetime
) -> None:
    """Raises InvalidInput with the first thing that is wrong with a quoted price.

    Codes: `invalid_model`, `unknown_mode`, `unknown_meter`, `invalid_price`, `too_many_decimals`,
    `not_a_whole_hour`.
    """
    if not model or len(model) > MODEL_LENGTH or has_control_characters(model):
        raise InvalidInput(
            "invalid_model",
            f"a model or sku has 1 to {MODEL_LENGTH} characters, no line breaks or other controls",
        )
    if mode not in MODES:
        raise InvalidInput("unknown_mode", f"{mode!r} is not one of {', '.join(sorted(MODES))}")
    if not price.is_finite() or price < 0 or price >= PRICE_BELOW:
        raise InvalidInput("invalid_price", "a price is a number from 0 to below 10^18")
    if has_more_decimals_than(price, DECIMALS):
        raise InvalidInput("too_many_decimals", f"a price has at most {DECIMALS} decimals")
    require_whole_hour(effective_at)
    if not Meter.objects.filter(key=meter).exists():
        raise InvalidInput("unknown_meter", f"no meter {meter!r}: POST /meters defines one")
