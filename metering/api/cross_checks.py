"""Agents' own totals and where they differ: parse, call one service, answer."""

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import key_of
from billing.api.base import LedgerView
from billing.api.fields import InstantField, StrictSerializer, TextField, WholeNumberField
from billing.api.permissions import IsAgent, IsFinance
from billing.services import clock, customers
from metering.api.instants import instant
from metering.domain.meters import Mode
from metering.services import cross_checks
from metering.services.cross_checks import Difference, HourTotal

SHOWN = timedelta(hours=48)


class HourTotalIn(StrictSerializer):
    """A source's count of one customer's hour. Quantities as events report them, by meter."""

    customer = TextField(max_length=64)
    hour = InstantField()
    model = TextField(max_length=200)
    mode = serializers.ChoiceField(choices=[mode.value for mode in Mode])
    quantities = serializers.DictField(child=WholeNumberField(min_value=0), allow_empty=False)


class CrossCheckIn(StrictSerializer):
    """The totals of one source; told again, an hour's totals take the place of the earlier."""

    source = TextField(max_length=200)  # type: ignore[assignment]
    totals = HourTotalIn(many=True, allow_empty=False)


class DifferenceOut(serializers.Serializer[Difference]):
    """Where the counts differ, in units of a meter; meters are disjoint here (`input_tokens` is
    the uncached input)."""

    customer = serializers.CharField()
    hour = InstantField()
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    reported = serializers.IntegerField()
    stored = serializers.IntegerField()


class CrossCheckOut(serializers.Serializer[Any]):
    """How many totals were kept, and what differs in their hours."""

    checked = serializers.IntegerField()
    differences = DifferenceOut(many=True)


class DifferencesOut(serializers.Serializer[Any]):
    """What differs, oldest first."""

    results = DifferenceOut(many=True)
    next = serializers.CharField(allow_null=True)


class CrossChecksView(LedgerView):
    """Agents post their totals; finance reads what differs."""

    def get_permissions(self) -> list[Any]:
        return [IsFinance() if self.request.method in SAFE_METHODS else IsAgent()]

    @extend_schema(operation_id="cross_check_create", request=CrossCheckIn, responses=CrossCheckOut)
    def post(self, request: Request) -> Response:
        given = CrossCheckIn.parse(request.data)
        found = cross_checks.record_totals(
            source=given["source"],
            totals=[HourTotal(**total) for total in given["totals"]],
            allowed_customer_ids=key_of(request).allowed_customer_ids or None,
            now=clock.now(),
        )
        return Response(
            {
                "checked": len(given["totals"]),
                "differences": [DifferenceOut(item).data for item in found],
            }
        )

    @extend_schema(
        operation_id="cross_checks",
        parameters=[
            OpenApiParameter("from", OpenApiTypes.DATETIME),
            OpenApiParameter("to", OpenApiTypes.DATETIME),
            OpenApiParameter("customer"),
        ],
        responses=DifferencesOut,
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
        end = instant(asked.get("to"), this_hour + timedelta(hours=1))
        start = instant(asked.get("from"), end - SHOWN)
        key = asked.get("customer")
        found = cross_checks.differences(
            start=start, end=end, customer=customers.get_customer(key=key) if key else None
        )
        return Response({"results": [DifferenceOut(item).data for item in found], "next": None})
