"""Strict serializers: what is not understood is refused, never guessed or rounded."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from billing.domain.money import DECIMALS, has_more_decimals_than, plain


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses fields it does not know: a misspelt option must not be ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                raise serializers.ValidationError(
                    {name: ["This field is not known here."] for name in unknown}
                )
        return super().to_internal_value(data)

    @classmethod
    def parse(cls, data: Any) -> dict[str, Any]:
        """What `data` says, or a ValidationError with everything that is wrong with it."""
        serializer = cls(data=data)
        serializer.is_valid(raise_exception=True)
        parsed: dict[str, Any] = serializer.validated_data
        return parsed


class TextField(serializers.CharField):
    """Text, and only text: DRF would take numbers."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class WholeNumberField(serializers.IntegerField):
    """A JSON integer: DRF would take "5" and 5.0."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """true or false: DRF would take "yes", "on" and 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


@extend_schema_field({"type": "string", "format": "decimal"})
class DecimalTextField(serializers.Field[Decimal, Any, str, Any]):
    """An exact decimal: a string or an integer; a JSON float has lost its decimals already.

    Refuses more than `decimals` decimals instead of rounding, and anything outside
    [`minimum`, `maximum`]. Written with twelve decimals.
    """

    default_error_messages = {
        "float": "Send a decimal as a string: a JSON number may have lost digits.",
        "invalid": "Not a decimal number.",
        "decimals": "At most {decimals} decimals.",
        "range": "Must lie from {minimum} to {maximum}.",
    }

    def __init__(
        self,
        *,
        decimals: int = DECIMALS,
        minimum: Decimal = Decimal(0),
        maximum: Decimal = Decimal(10) ** 15,
        **options: Any,
    ) -> None:
        self.decimals, self.minimum, self.maximum = decimals, minimum, maximum
        super().__init__(**options)

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, float):
            self.fail("float")
        if isinstance(data, bool) or not isinstance(data, int | str) or len(str(data)) > 60:
            self.fail("invalid")
        try:
            value = Decimal(data)
        except (InvalidOperation, ValueError):
            self.fail("invalid")
        # Decimal() would take "NaN", " 1", "1_000" and other scripts' digits; an exponent could
        # be a million zeros.
        if isinstance(data, str) and not all(letter in "+-.0123456789" for letter in data):
            self.fail("invalid")
        if has_more_decimals_than(value, self.decimals):
            self.fail("decimals", decimals=self.decimals)
        if not self.minimum <= value <= self.maximum:
            self.fail("range", minimum=self.minimum, maximum=self.maximum)
        return value

    def to_representation(self, value: Decimal) -> str:
        return plain(value)


class MoneyField(DecimalTextField):
    """Dollars to twelve decimals, not negative."""


class CentsMoneyField(DecimalTextField):
    """Dollars in whole cents, as a commit states them; not negative."""

    def __init__(self, **options: Any) -> None:
        super().__init__(decimals=2, **options)


class InstantField(serializers.DateTimeField):
    """An RFC 3339 instant with its offset; written in UTC with a Z."""

    default_error_messages = {"naive": "An instant needs an offset, such as Z."}

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("naive")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self.fail("overflow", timezone="UTC")

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid", format="RFC 3339")
        return super().to_internal_value(value)
