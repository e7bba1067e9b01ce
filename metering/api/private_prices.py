"""The addresses of private prices: asked for by `POST /prices` with a customer, decided here."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import Actor, actor_of
from billing.api.base import LedgerView
from billing.api.fields import InstantField, MoneyField
from billing.api.pagination import ordered_by
from billing.api.permissions import IsFinance
from billing.api.serializers import RejectionIn
from billing.domain.money import plain
from billing.models import Customer
from billing.services import clock
from metering.models import PrivatePriceRequest
from metering.services import private_prices
from metering.services.price_book import NewPrice


class PrivatePriceOut(serializers.Serializer[PrivatePriceRequest]):
    """A list price asked for one customer alone."""

    id = serializers.UUIDField()
    customer = serializers.CharField()
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    price = MoneyField()
    effective_at = InstantField()
    state = serializers.ChoiceField(choices=["requested", "approved", "rejected"])
    requested_at = InstantField()
    requested_by = serializers.CharField()
    decided_at = InstantField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    rejected_because = serializers.CharField(allow_null=True)


class PrivatePricesView(LedgerView):
    """Requests for private prices, newest first."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("-requested_at", "id")

    @extend_schema(
        operation_id="private_prices_list",
        responses=PrivatePriceOut(many=True),
        parameters=[OpenApiParameter("customer", OpenApiTypes.STR)],
    )
    def get(self, request: Request) -> Response:
        found = PrivatePriceRequest.objects.select_related("customer")
        if key := request.query_params.get("customer"):
            found = found.filter(customer__key=key)
        return self.page(request, found, private_price_body)


class PrivatePriceApproveView(LedgerView):
    """Put it into the price book: by another than who asked."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="private_price_approve", request=None, responses=PrivatePriceOut)
    def post(self, request: Request, request_id: UUID) -> Response:
        actor = actor_of(request)
        asked = private_prices.approve_private_price(
            request_id=request_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        return Response(private_price_body(asked))


class PrivatePriceRejectView(LedgerView):
    """Decline it."""

    permission_classes = (IsFinance,)

    @extend_schema(
        operation_id="private_price_reject", request=RejectionIn, responses=PrivatePriceOut
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        actor = actor_of(request)
        asked = private_prices.reject_private_price(
            request_id=request_id,
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
            why=RejectionIn.parse(request.data or {})["reason"],
        )
        return Response(private_price_body(asked))


def ask_for_private_price(
    customer: Customer, given: Mapping[str, Any], actor: Actor
) -> PrivatePriceRequest:
    """What a parsed PriceIn with a customer asks for."""
    return private_prices.request_private_price(
        customer=customer,
        price=NewPrice(
            given["model"], given["mode"], given["meter"], given["price"], given["effective_at"]
        ),
        actor=actor.user,
        actor_name=actor.name,
        now=clock.now(),
    )


def private_price_body(asked: PrivatePriceRequest) -> dict[str, Any]:
    """A request as PrivatePriceOut describes it."""
    instant = InstantField().to_representation
    return {
        "id": str(asked.pk),
        "customer": asked.customer.key,
        "model": asked.model,
        "mode": asked.mode,
        "meter": asked.meter_id,
        "price": plain(asked.price),
        "effective_at": instant(asked.effective_at),
        "state": asked.state,
        "requested_at": instant(asked.requested_at),
        "requested_by": asked.requested_by,
        "decided_at": instant(asked.decided_at) if asked.decided_at else None,
        "decided_by": asked.decided_by or None,
        "rejected_because": asked.rejected_because or None,
    }
