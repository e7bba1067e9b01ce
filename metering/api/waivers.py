"""Usage that waits to be rated, and its waivers: parse, call one service, answer."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of, key_of
from billing.api.base import LedgerView
from billing.api.fields import InstantField, StrictSerializer, TextField
from billing.api.idempotency import idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import IsFinance, IsFinanceOrCustomer, readable_customer
from billing.api.serializers import RejectionIn
from billing.domain.errors import InvalidInput
from billing.models import ApiKeyKind, Customer
from billing.services import clock
from metering.models import Resolution, Waiver
from metering.services import waivers

STATES = ("waiting", *Resolution.values, "all")


class NamedEventIn(StrictSerializer):
    """An event as it was reported."""

    source = TextField(max_length=200)  # type: ignore[assignment]
    id = TextField(max_length=200)


class WaiverIn(StrictSerializer):
    """What shall be waived: all that waits of some events, or of one model or sku."""

    customer = TextField(max_length=64)
    events = NamedEventIn(many=True, required=False, allow_empty=False)
    model = TextField(max_length=200, required=False)
    reason = TextField(max_length=300)


class UnratedOut(serializers.Serializer[Any]):
    """One quantity that could not be rated when it came."""

    id = serializers.CharField()
    customer = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    event = serializers.CharField()
    time = InstantField()
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    quantity = serializers.IntegerField()
    reason = serializers.ChoiceField(choices=["no_price", "no_commit"])
    state = serializers.ChoiceField(choices=["waiting", *Resolution.values])
    resolved_at = InstantField(allow_null=True)


class WaiverOut(serializers.Serializer[Waiver]):
    """A request to waive, and its decision; `quantities` is how many it names."""

    id = serializers.UUIDField()
    customer = serializers.CharField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=["requested", "approved", "rejected"])
    quantities = serializers.IntegerField()
    requested_at = InstantField()
    requested_by = serializers.CharField()
    decided_at = InstantField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    rejected_because = serializers.CharField(allow_null=True)


class UnratedView(LedgerView):
    """Usage that waits to be rated, newest first; a customer's key sees its own."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="unrated_list",
        responses=UnratedOut(many=True),
        parameters=[
            OpenApiParameter("customer", OpenApiTypes.STR),
            OpenApiParameter("state", OpenApiTypes.STR, enum=STATES, description="or waiting"),
        ],
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params.get("customer")
        own = key_of(request)
        if asked is None and own.kind == ApiKeyKind.CUSTOMER and own.customer is not None:
            asked = own.customer.key
        customer = readable_customer(request, asked) if asked is not None else None
        rows = waivers.unrated_usage(customer_id=customer.pk if customer else None)
        state = request.query_params.get("state", "waiting")
        if state not in STATES:
            raise InvalidInput("invalid_input", f"state is one of {', '.join(STATES)}")
        if state != "all":
            rows = rows.filter(resolution="" if state == "waiting" else state)
        return self.page(request, rows, unrated_body)


class WaiversView(LedgerView):
    """Requests to waive usage, newest first."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("-requested_at", "id")

    @extend_schema(
        operation_id="waivers_list",
        responses=WaiverOut(many=True),
        parameters=[OpenApiParameter("customer", OpenApiTypes.STR)],
    )
    def get(self, request: Request) -> Response:
        found = Waiver.objects.select_related("customer")
        if key := request.query_params.get("customer"):
            found = found.filter(customer__key=key)
        return self.page(request, found, waiver_body)

    @extend_schema(operation_id="waivers_create", request=WaiverIn, responses={201: WaiverOut})
    @idempotent
    def post(self, request: Request) -> Response:
        given = WaiverIn.parse(request.data)
        actor = actor_of(request)
        customer: Customer = readable_customer(request, given["customer"])
        waiver = waivers.request_waiver(
            customer=customer,
            events=[(event["source"], event["id"]) for event in given.get("events", ())],
            model=given.get("model", ""),
            reason=given["reason"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(waiver_body(waiver), status=201)


class WaiverApproveView(LedgerView):
    """Waive: by another than who asked."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="waiver_approve", request=None, responses=WaiverOut)
    def post(self, request: Request, waiver_id: UUID) -> Response:
        actor = actor_of(request)
        waiver = waivers.approve_waiver(
            waiver_id=waiver_id, actor=actor.user, actor_name=actor.name, now=clock.now()
        )
        return Response(waiver_body(waiver))


class WaiverRejectView(LedgerView):
    """Decline a request."""

    permission_classes = (IsFinance,)

    @extend_schema(operation_id="waiver_reject", request=RejectionIn, responses=WaiverOut)
    def post(self, request: Request, waiver_id: UUID) -> Response:
        actor = actor_of(request)
        waiver = waivers.reject_waiver(
            waiver_id=waiver_id,
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
            why=RejectionIn.parse(request.data or {})["reason"],
        )
        return Response(waiver_body(waiver))


def unrated_body(row: Any) -> dict[str, Any]:
    """A row of `unrated_usage` as UnratedOut describes it."""
    instant = InstantField().to_representation
    return {
        "id": str(row.pk),
        "customer": row.customer.key,
        "source": row.source,
        "event": row.event_name,
        "time": instant(row.occurred_at),
        "model": row.model,
        "mode": row.mode,
        "meter": row.meter,
        "quantity": row.quantity,
        "reason": row.reason,
        "state": row.resolution or "waiting",
        "resolved_at": instant(row.resolved_at) if row.resolved_at else None,
    }


def waiver_body(waiver: Waiver) -> dict[str, Any]:
    """A waiver as WaiverOut describes it."""
    instant = InstantField().to_representation
    return {
        "id": str(waiver.pk),
        "customer": waiver.customer.key,
        "reason": waiver.reason,
        "state": waiver.state,
        "quantities": waiver.quantities.count(),
        "requested_at": instant(waiver.requested_at),
        "requested_by": waiver.requested_by,
        "decided_at": instant(waiver.decided_at) if waiver.decided_at else None,
        "decided_by": waiver.decided_by or None,
        "rejected_because": waiver.rejected_because or None,
    }
