"""Raw events of a customer: listed by cursor, exported as CSV or JSON lines."""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from billing.api.base import LedgerView
from billing.api.fields import InstantField
from billing.api.permissions import IsFinanceOrCustomer, readable_customer
from billing.domain.errors import InvalidInput
from billing.services import clock
from metering.api.instants import EARLIEST, LATEST, instant
from metering.models import EventKind
from metering.services.event_listing import Place, RawEvent, every_event, raw_events

PAGE, LARGEST_PAGE = 100, 1_000
_WINDOW = [
    OpenApiParameter("from", OpenApiTypes.DATETIME, OpenApiParameter.QUERY),
    OpenApiParameter("to", OpenApiTypes.DATETIME, OpenApiParameter.QUERY),
]
_QUANTITIES = (
    "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "gpu_seconds",
    "busy_gpu_seconds",
)  # fmt: skip
_COLUMNS = (
    "time", "received_at", "seq", "type", "source", "id", "model", "mode", *_QUANTITIES,
    "quantities", "endpoint", "project", "region", "async", "target", "reason", "voided_by",
)  # fmt: skip


class NameOut(serializers.Serializer[Any]):
    """The source and id of an event."""

    source = serializers.CharField()  # type: ignore[assignment]
    id = serializers.CharField()


class RawEventOut(serializers.Serializer[Any]):
    """An event as it was reported; `input_tokens` is the uncached input. Absent is null."""

    time = InstantField()
    received_at = InstantField()
    seq = serializers.IntegerField(help_text="the n-th event of the customer that was accepted")
    type = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    id = serializers.CharField()
    model = serializers.CharField(allow_null=True)
    mode = serializers.CharField(allow_null=True)
    input_tokens = serializers.IntegerField()
    cached_input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    gpu_seconds = serializers.IntegerField()
    busy_gpu_seconds = serializers.IntegerField()
    quantities = serializers.DictField(child=serializers.IntegerField(), allow_null=True)
    endpoint = serializers.CharField(allow_null=True)
    project = serializers.CharField(allow_null=True)
    region = serializers.CharField(allow_null=True)
    target = NameOut(allow_null=True, help_text="of a void: the event that it takes back")
    reason = serializers.CharField(allow_null=True)
    voided_by = NameOut(allow_null=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # A word of Python's, which a class cannot have as an attribute.
        return {**super().get_fields(), "async": serializers.BooleanField(allow_null=True)}


class RawEventsOut(serializers.Serializer[Any]):
    """A page of events, by time."""

    results = RawEventOut(many=True)
    next = serializers.CharField(allow_null=True)


class EventsView(LedgerView):
    """The events of a customer by time, page by page."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_events",
        parameters=[
            *_WINDOW,
            OpenApiParameter("limit", OpenApiTypes.INT, OpenApiParameter.QUERY),
            OpenApiParameter("cursor", OpenApiTypes.STR, OpenApiParameter.QUERY),
        ],
        responses=RawEventsOut,
    )
    def get(self, request: Request, key: str) -> Response:
        customer = readable_customer(request, key)
        start, end = _window(request)
        asked = request.query_params
        limit = _limit(asked.get("limit"))
        after = Place.of(asked["cursor"]) if "cursor" in asked else Place(start)
        page = raw_events(
            customer_id=customer.pk, after=after, end=end, limit=limit + 1, now=clock.now()
        )
        following = None
        if len(page) > limit:
            page = page[:limit]
            following = replace_query_param(
                request.build_absolute_uri(), "cursor", page[-1].behind.cursor()
            )
        return Response({"results": [_body(event) for event in page], "next": following})


class EventsExportView(LedgerView):
    """All events of a customer in a stretch of time, streamed."""

    permission_classes = (IsFinanceOrCustomer,)

    @extend_schema(
        operation_id="customer_events_export",
        parameters=_WINDOW,
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request, key: str, form: str) -> StreamingHttpResponse:
        customer = readable_customer(request, key)
        start, end = _window(request)
        rows = every_event(customer_id=customer.pk, start=start, end=end, now=clock.now())
        is_csv = form == "csv"
        return StreamingHttpResponse(
            _csv(rows) if is_csv else (json.dumps(_body(event)) + "\n" for event in rows),
            content_type="text/csv" if is_csv else "application/x-ndjson",
            headers={"Content-Disposition": f'attachment; filename="{key}-usage.{form}"'},
        )


def _window(request: Request) -> tuple[datetime, datetime]:
    asked = request.query_params
    return instant(asked.get("from"), EARLIEST), instant(asked.get("to"), LATEST)


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= LARGEST_PAGE:
        raise InvalidInput("invalid_limit", f"limit is a number from 1 to {LARGEST_PAGE}")
    return int(text)


def _body(event: RawEvent) -> dict[str, Any]:
    said = event.said
    voided_by = (
        {"source": event.voided_by_source, "id": event.voided_by_id}
        if event.voided_by_id is not None
        else None
    )
    return {
        "time": _text(event.occurred_at),
        "received_at": _text(event.received_at),
        "seq": event.seq,
        "type": EventKind(event.kind).label,
        "source": event.source,
        "id": event.id,
        "model": event.model or None,
        "mode": event.mode or None,
        **{name: getattr(event, name) for name in _QUANTITIES},
        "quantities": said.get("quantities"),
        "endpoint": said.get("endpoint"),
        "project": event.project,
        "region": said.get("region"),
        "async": said.get("async"),
        "target": said.get("target"),
        "reason": said.get("reason"),
        "voided_by": voided_by,
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class _Line:
    """What csv writes to: keeps the line that was written last."""

    text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def _csv(rows: Iterator[RawEvent]) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(_COLUMNS)
    yield line.text
    for event in rows:
        body = _body(event)
        writer.writerow(_cell(body[name]) for name in _COLUMNS)
        yield line.text


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is quoted as text."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
