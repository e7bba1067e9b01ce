"""Model fields that refuse what PostgreSQL would silently round, and ranges of time."""

from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields import DateTimeRangeField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Func

from billing.domain.money import has_more_decimals_than


class ExactDecimalField(models.DecimalField):  # type: ignore[type-arg]
    """A NUMERIC whose values are stored as given or not at all.

    PostgreSQL rounds a NUMERIC to its scale without a word; here a value with more decimals than
    the column is refused with `too_many_decimals` before it reaches the database.
    """

    def get_db_prep_save(self, value: Any, connection: Any) -> Any:
        if isinstance(value, float):
            raise ValidationError("a float may not come near money", code="float_money")
        if isinstance(value, Decimal) and has_more_decimals_than(value, self.decimal_places):
            raise ValidationError(
                f"{value} has more than {self.decimal_places} decimals", code="too_many_decimals"
            )
        return super().get_db_prep_save(value, connection)


def money_field(**options: Any) -> ExactDecimalField:
    """Dollars, exact to twelve decimals."""
    return ExactDecimalField(max_digits=38, decimal_places=12, **options)


def cents_dollars_field(**options: Any) -> ExactDecimalField:
    """Dollars that are whole cents: the amounts that a commit states."""
    return ExactDecimalField(max_digits=20, decimal_places=2, **options)


def rate_field(**options: Any) -> ExactDecimalField:
    """Dollars per single unit, twelve decimals."""
    return ExactDecimalField(max_digits=30, decimal_places=12, **options)


def price_field(**options: Any) -> ExactDecimalField:
    """A quoted list price: dollars per million tokens, per GPU-hour, or per unit."""
    return ExactDecimalField(max_digits=30, decimal_places=12, **options)


def fraction_field(**options: Any) -> ExactDecimalField:
    """A share between 0 and 1, such as a discount or a rollover fraction."""
    return ExactDecimalField(max_digits=9, decimal_places=8, **options)


class TsTzRange(Func):
    """Two columns as a range of time: for constraints that things do not overlap."""

    function = "TSTZRANGE"
    output_field = DateTimeRangeField()
