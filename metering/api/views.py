"""Metering's addresses: parse, call one service, answer."""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, UnreadablePostError
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.request import Request
from rest_framework.response import Response

from billing.api.authentication import actor_of, key_of
from billing.api.base import LedgerView
from billing.api.idempotency import HEADER, idempotent
from billing.api.pagination import ordered_by
from billing.api.permissions import IsAgent, IsFinance, IsFinanceOrCustomer, readable_customer
from billing.api.problems import problem
from billing.domain.errors import InvalidInput
from billing.services import clock
from metering.api import serializers as body
from metering.api.admission import RETRY_SECONDS, Overloaded, admission
from metering.api.instants import EARLIEST, LATEST, instant
from metering.api.private_prices import (
    PrivatePriceOut,
    ask_for_private_price,
    private_price_body,
)
from metering.api.throttling import UsageThrottle
from metering.domain.bodies import MalformedBody, TooLarge
from metering.models import Meter, Price
from metering.services import price_book, rating, usage_reports
from metering.services.ingest import FORMS, ingest

_KEY = OpenApiParameter(HEADER, OpenApiTypes.STR, OpenApiParameter.HEADER)


def _query(name: str, kind: Any = OpenApiTypes.STR, *, required: bool = False) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, required=required)


class UsageView(LedgerView):
    """Usage in: CloudEvents, one or a batch, plain or gzip."""

    permission_classes = (IsAgent,)
    throttle_classes = (UsageThrottle,)

    @extend_schema(
        operation_id="usage_create",
        request={
            content_type: body.EventIn(many=forms[1]) for content_type, forms in FORMS.items()
        },
        responses={200: body.IngestOut, 207: body.IngestOut, 422: body.IngestOut},
    )
    def post(self, request: Request) -> Response:
        encoding = request.headers.get("Content-Encoding", "")
        try:
            with admission.admit(length=_length(request), is_packed=bool(encoding)):
                result = ingest(
                    body=_raw_body(request._request),
                    content_type=request.content_type or "",
                    content_encoding=encoding,
                    allowed_customer_ids=key_of(request).allowed_customer_ids or None,
                    now=clock.now(),
                )
        except Overloaded:
            return problem(
                503,
                "overloaded",
                "There is more usage on its way in than fits; nothing was read. Try again.",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        except MalformedBody as error:
            return problem(400, error.code, error.detail)
        except TooLarge as error:
            return problem(413, error.code, error.detail)
        except InvalidInput as error:
            status = 415 if error.code == "unsupported_media_type" else 422
            return problem(status, error.code, error.detail)
        some = result.accepted or result.duplicates
        status = (207 if some else 422) if result.refused else 200
        return Response(body.ingest_body(result), status=status)


def _length(request: Request) -> int:
    """What the body says it is long; without a word nothing of it is read."""
    text = request.META.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() else 0


def _raw_body(request: HttpRequest) -> bytes:
    try:
        body = request.body
        # DRF's request refers to itself: the body would stay until the collector comes.
        request._body = b""
        return body
    except RequestDataTooBig as error:
        raise TooLarge("the body is larger than one request may be") from error
    except UnreadablePostError as error:
        raise MalformedBody("the body broke off") from error


class CustomerUsageView(LedgerView):
    """Rated usage of one customer."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_usage",
        parameters=[
            _query("from", OpenApiTypes.DATETIME),
            _query("to", OpenApiTypes.DATETIME),
            _query("group_by"),
        ],
        responses=body.UsageOut,
    )
    def get(self, request: Request, key: str) -> Response:
        customer = readable_customer(request, key)
        asked = request.query_params
        start = instant(asked.get("from"), EARLIEST)
        end = instant(asked.get("to"), LATEST)
        group_by = [
            name for name in asked.get("group_by", "day,model,mode,meter").split(",") if name
        ]
        rows = usage_reports.usage_rows(
            customer_id=customer.pk, start=start, end=end, group_by=group_by
        )
        idle = usage_reports.idle_hardware(customer_id=customer.pk, start=start, end=end)
        return Response(
            {
                "results": [body.usage_row_body(row) for row in rows],
                "next": None,
                "idle": body.IdleOut(idle).data,
            }
        )


class CustomerRateView(LedgerView):
    """How one committed rate of a customer came about."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_rate",
        parameters=[
            _query("model", required=True),
            _query("mode", required=True),
            _query("meter", required=True),
            _query("at", OpenApiTypes.DATETIME),
        ],
        responses=body.RateOut,
    )
    def get(self, request: Request, key: str) -> Response:
        customer = readable_customer(request, key)
        asked = request.query_params
        rate = rating.explain_rate(
            customer_id=customer.pk,
            occurred_at=instant(asked.get("at"), clock.now()),
            model=asked.get("model", ""),
            mode=asked.get("mode", ""),
            meter=asked.get("meter", ""),
        )
        return Response(body.rate_body(rate))


class PricesView(LedgerView):
    """The price book: dated list prices."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("model", "mode", "meter", "effective_at", "id")

    @extend_schema(
        operation_id="prices_list",
        parameters=[_query("model"), _query("customer")],
        responses=body.PriceOut(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = Price.objects.select_related("customer")
        if "customer" in request.query_params:
            rows = rows.filter(
                customer=readable_customer(request, request.query_params["customer"])
            )
        if "model" in request.query_params:
            rows = rows.filter(model=request.query_params["model"].replace("\0", ""))
        return self.page(request, rows, body.price_body)

    @extend_schema(
        operation_id="prices_create",
        request=body.PriceIn,
        responses={
            201: PolymorphicProxySerializer(
                "PriceOrRequest", [body.PriceOut, PrivatePriceOut], resource_type_field_name=None
            )
        },
        parameters=[_KEY],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = body.PriceIn.parse(request.data)
        actor = actor_of(request)
        if given.get("customer") is not None:
            asked = ask_for_private_price(
                readable_customer(request, given["customer"]), given, actor
            )
            return Response(private_price_body(asked), status=201)
        price = price_book.add_price(
            model=given["model"],
            mode=given["mode"],
            meter=given["meter"],
            price=given["price"],
            effective_at=given["effective_at"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(body.price_body(price), status=201)


class MetersView(LedgerView):
    """What can be counted."""

    permission_classes = (IsFinance,)
    pagination_class = ordered_by("key")

    @extend_schema(operation_id="meters_list", responses=body.MeterOut(many=True))
    def get(self, request: Request) -> Response:
        return self.page(request, Meter.objects.all(), body.meter_body)

    @extend_schema(
        operation_id="meters_create",
        request=body.MeterIn,
        responses={201: body.MeterOut},
        parameters=[_KEY],
    )
    @idempotent
    def post(self, request: Request) -> Response:
        given = body.MeterIn.parse(request.data)
        actor = actor_of(request)
        meter = price_book.add_meter(
            key=given["key"],
            unit=given["unit"],
            actor=actor.user,
            actor_name=actor.name,
            now=clock.now(),
        )
        return Response(body.meter_body(meter), status=201)
