"""What metering's addresses take and answer."""

from typing import Any

from rest_framework import serializers

from billing.api.fields import (
    DecimalTextField,
    InstantField,
    MoneyField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from billing.domain.money import plain
from metering.domain.meters import Mode
from metering.domain.rates import Rate
from metering.models import Meter, Price
from metering.services.ingest import IngestResult
from metering.services.usage_reports import Idle, UsageRow


class PriceIn(StrictSerializer):
    """A list price; `model` or `sku` names what it is for. With a customer it is a private price:
    asked for only, until another finance user approves it."""

    model = TextField(max_length=200, required=False)
    sku = TextField(max_length=200, required=False)
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    meter = TextField(max_length=64)
    price = DecimalTextField()
    effective_at = InstantField()
    customer = TextField(max_length=64, required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("model" in attrs) == ("sku" in attrs):
            raise serializers.ValidationError("Give either model or sku.")
        attrs["model"] = attrs.get("model") or attrs.get("sku")
        return attrs


class PriceOut(serializers.Serializer[Price]):
    """A list price: per million tokens, per GPU-hour, or per unit. `customer` alone sees it, or
    everybody does."""

    id = serializers.CharField()
    customer = serializers.CharField(allow_null=True)
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    price = MoneyField()
    effective_at = InstantField()
    source = serializers.CharField()  # type: ignore[assignment]


class MeterIn(StrictSerializer):
    """A meter to define; it is priced per single unit."""

    key = TextField(max_length=64)
    unit = TextField(max_length=32)


class MeterOut(serializers.Serializer[Meter]):
    """A meter, and how many units one quoted price buys."""

    id = serializers.CharField()
    key = serializers.CharField()
    unit = serializers.CharField()
    units_per_price = serializers.IntegerField()


class EventIn(serializers.Serializer[Any]):
    """A CloudEvent; `data` depends on `type` (see the README)."""

    specversion = serializers.ChoiceField(choices=["1.0"])
    id = serializers.CharField(max_length=200)
    source = serializers.CharField(max_length=200)  # type: ignore[assignment]
    subject = serializers.CharField(max_length=64, help_text="the customer's key")
    time = InstantField()
    type = serializers.ChoiceField(
        choices=["inference.tokens", "inference.gpu", "inference.usage", "inference.void"]
    )
    data = serializers.DictField()  # type: ignore[assignment]


class RefusedOut(serializers.Serializer[Any]):
    """An event that was not accepted. `index` counts from 0."""

    index = serializers.IntegerField()
    id = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    detail = serializers.CharField()


class IngestOut(serializers.Serializer[IngestResult]):
    """What became of the events of a request; `accepted` includes `unrated`."""

    accepted = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    unrated = serializers.IntegerField()
    refused = RefusedOut(many=True)


class UsageRowOut(serializers.Serializer[UsageRow]):
    """One group of rated usage; what it is not grouped by is null."""

    day = serializers.DateField(allow_null=True)
    project = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    mode = serializers.CharField(allow_null=True)
    meter = serializers.CharField(allow_null=True)
    rate = MoneyField(allow_null=True)
    quantity = WholeNumberField(allow_null=True)
    amount = MoneyField()


class IdleOut(serializers.Serializer[Idle]):
    """Idle dollars of dedicated hardware: part of the amounts above, not billed apart."""

    gpu_seconds = serializers.IntegerField()
    amount = MoneyField()


class UsageOut(serializers.Serializer[Any]):
    """Rated usage."""

    results = UsageRowOut(many=True)
    next = serializers.CharField(allow_null=True)
    idle = IdleOut()


class RateOut(serializers.Serializer[Rate]):
    """How a committed rate came about."""

    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    at = InstantField()
    override = MoneyField(allow_null=True)
    list_price = MoneyField(allow_null=True)
    private = serializers.BooleanField()
    filled_from = serializers.CharField(allow_null=True)
    factor = MoneyField(allow_null=True)
    protected_price = MoneyField(allow_null=True)
    discount = MoneyField()
    units_per_price = serializers.IntegerField()
    rate = MoneyField()


def price_body(price: Price) -> dict[str, Any]:
    return {
        "id": str(price.pk),
        "customer": price.customer.key if price.customer else None,
        "model": price.model,
        "mode": price.mode,
        "meter": price.meter_id,
        "price": plain(price.price),
        "effective_at": InstantField().to_representation(price.effective_at),
        "source": price.source,
    }


def meter_body(meter: Meter) -> dict[str, Any]:
    return {
        "id": meter.key,
        "key": meter.key,
        "unit": meter.unit,
        "units_per_price": meter.units_per_price,
    }


def ingest_body(result: IngestResult) -> dict[str, Any]:
    return {
        "accepted": result.accepted,
        "duplicates": result.duplicates,
        "unrated": result.unrated,
        "refused": [
            {"index": one.index, "id": one.id, "code": one.code, "detail": one.detail}
            for one in result.refused
        ],
    }


def usage_row_body(row: UsageRow) -> dict[str, Any]:
    return {
        "day": row.day.isoformat() if row.day else None,
        "project": row.project,
        "model": row.model,
        "mode": row.mode,
        "meter": row.meter,
        "rate": plain(row.rate) if row.rate is not None else None,
        "quantity": row.quantity,
        "amount": plain(row.amount),
    }


def rate_body(rate: Rate) -> dict[str, Any]:
    listed = rate.listed
    return {
        "model": rate.key.model,
        "mode": rate.key.mode,
        "meter": rate.key.meter,
        "at": InstantField().to_representation(rate.at),
        "override": plain(rate.override) if rate.override is not None else None,
        "list_price": plain(listed.price) if listed else None,
        "private": listed.is_private if listed else False,
        "filled_from": f"{listed.quoted_under.mode} {listed.quoted_under.meter}"
        if listed
        else None,
        "factor": plain(listed.factor) if listed else None,
        "protected_price": plain(rate.cap) if rate.cap is not None else None,
        "discount": plain(rate.discount),
        "units_per_price": rate.units_per_price,
        "rate": plain(rate.rate),
    }
