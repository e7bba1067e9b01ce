"""Meters and the price book: dated list prices, before any commit's discount."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import TruncHour

from billing.models.fields import fraction_field, price_field
from metering.domain.meters import Mode


class Meter(models.Model):
    """What is counted. A price is quoted per `units_per_price` units (a million tokens, 3,600
    GPU-seconds, one image)."""

    key = models.CharField(
        max_length=64,
        primary_key=True,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*\Z", "lower case, digits and _")],
    )
    unit = models.CharField(max_length=32)
    units_per_price = models.BigIntegerField(default=1)

    class Meta:
        ordering = ("key",)
        constraints = [
            models.CheckConstraint(
                name="meter_is_priced_per_at_least_one_unit", condition=Q(units_per_price__gte=1)
            )
        ]

    def __str__(self) -> str:
        return self.key


class Price(models.Model):
    """A list price in force from a whole UTC hour until the next one of the same kind.

    `model` holds the model name or the GPU sku. With a customer it is a private price: the list
    price that this customer alone sees, in place of everybody's from its instant on.
    """

    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=32, choices=[(mode, mode) for mode in Mode])
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="prices")
    customer = models.ForeignKey(
        "billing.Customer",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="private_prices",
    )
    price = price_field()
    effective_at = models.DateTimeField()
    source = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)

    class Meta:
        ordering = ("model", "mode", "meter", "effective_at")
        constraints = [
            models.UniqueConstraint(
                name="one_price_per_model_mode_meter_and_instant",
                fields=["model", "mode", "meter", "effective_at"],
                condition=Q(customer=None),
            ),
            models.UniqueConstraint(
                name="one_private_price_per_model_mode_meter_and_instant",
                fields=["customer", "model", "mode", "meter", "effective_at"],
                condition=Q(customer__isnull=False),
            ),
            models.CheckConstraint(name="price_is_not_negative", condition=Q(price__gte=0)),
            models.CheckConstraint(
                name="price_starts_on_a_whole_hour",
                condition=Q(effective_at=TruncHour("effective_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.mode} {self.meter_id} {self.price}"


class PriceBookVersion(models.Model):
    """One row, a fresh number at every change of a price or meter: what cached price books go by.

    Drawn from the sequence `metering_change`, which does not go back with a rolled-back database
    transaction: a number names one book for ever.
    """

    id = models.IntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.version)


class RateCard(models.Model):
    """What turns the list prices into one commit's rates: protection, discounts, overrides.

    Written by the commit that owns it; read by rating. `protected_from` is the instant whose list
    prices cap later ones, or null without price protection.
    """

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="rate_cards"
    )
    protected_from = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"rate card {self.pk}"


class RateDiscount(models.Model):
    """The discount of a rate card from an instant on."""

    card = models.ForeignKey(RateCard, on_delete=models.PROTECT, related_name="discounts")
    discount = fraction_field()
    effective_at = models.DateTimeField()

    class Meta:
        ordering = ("effective_at",)
        constraints = [
            models.UniqueConstraint(
                name="one_discount_per_card_and_instant", fields=["card", "effective_at"]
            ),
            models.CheckConstraint(
                name="discount_is_a_share_below_one",
                condition=Q(discount__gte=0) & Q(discount__lt=1),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.discount} from {self.effective_at}"


class RateOverride(models.Model):
    """A fixed price for exactly one (model, mode, meter) from an instant on, not discounted."""

    card = models.ForeignKey(RateCard, on_delete=models.PROTECT, related_name="overrides")
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=32, choices=[(mode, mode) for mode in Mode])
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="+")
    price = price_field()
    effective_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_override_per_card_model_mode_meter_instant",
                fields=["card", "model", "mode", "meter", "effective_at"],
            ),
            models.CheckConstraint(name="override_is_not_negative", condition=Q(price__gte=0)),
            models.CheckConstraint(
                name="override_starts_on_a_whole_hour",
                condition=Q(effective_at=TruncHour("effective_at")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.mode} {self.meter_id} {self.price}"
