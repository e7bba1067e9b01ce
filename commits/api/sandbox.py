"""The sandbox clock over REST: a rehearsal of a year in minutes. Not there outside a sandbox."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from billing.domain.errors import NotFound
from billing.services import clock
from commits.api.schemas import ClockOut
from commits.api.serializers import ClockSerializer, instant, parse
from commits.api.views import CommitsApi
from commits.services import daily


class SandboxClockView(CommitsApi):
    """GET shows the service's time; POST sets it and runs what falls due on the way."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not settings.SANDBOX:
            raise NotFound("not_found", "there is no sandbox here")

    @extend_schema(operation_id="sandbox_clock", responses=ClockOut)
    def get(self, request: Request) -> Response:
        return Response({"now": instant(clock.now())})

    @extend_schema(operation_id="sandbox_clock_set", request=ClockSerializer, responses=ClockOut)
    def post(self, request: Request) -> Response:
        given = parse(ClockSerializer, request.data)
        daily.jump(to=given["now"].astimezone(UTC), real_now=datetime.now(UTC))
        return Response({"now": instant(clock.now())})
