"""The one address, and the health check that the bench waits for."""

from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api.authentication import ApiKeyAuthentication
from billing.models import Customer
from tests.bench.plain.models import PlainEvent


class DataIn(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=200)
    mode = serializers.ChoiceField(choices=["serverless", "batch", "dedicated"])
    input_tokens = serializers.IntegerField(min_value=0)
    cached_input_tokens = serializers.IntegerField(min_value=0)
    output_tokens = serializers.IntegerField(min_value=0)
    reasoning_tokens = serializers.IntegerField(min_value=0)
    endpoint = serializers.CharField(max_length=100)
    project = serializers.CharField(max_length=100)


class EventIn(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=200)
    source = serializers.CharField(max_length=200)  # type: ignore[assignment]
    subject = serializers.CharField(max_length=64)
    time = serializers.DateTimeField()
    data = DataIn()  # type: ignore[assignment]


class PlainView(APIView):
    """Everything or nothing."""

    authentication_classes = (ApiKeyAuthentication,)

    def post(self, request: Request) -> Response:
        given = EventIn(data=request.data, many=True)
        given.is_valid(raise_exception=True)
        events = cast(list[dict[str, Any]], given.validated_data)
        customers = dict(
            Customer.objects.filter(key__in={event["subject"] for event in events}).values_list(
                "key", "pk"
            )
        )
        made = PlainEvent._default_manager.bulk_create(
            PlainEvent(
                customer_id=customers[event["subject"]],
                source=event["source"],
                event_id=event["id"],
                occurred_at=event["time"],
                **event["data"],
            )
            for event in events
        )
        return Response({"accepted": len(made)})


def healthz(_request: HttpRequest) -> HttpResponse:
    """The web server is up."""
    return HttpResponse("ok")


urlpatterns = [path("api/v1/usage", PlainView.as_view()), path("healthz", healthz)]
