"""What every view of the API has: keys, problem documents, cursors, and its part of OpenAPI."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Model, QuerySet
from drf_spectacular.openapi import AutoSchema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import problems
from billing.api.authentication import ApiKeyAuthentication
from billing.api.pagination import ByCursor

PROBLEM_STATUSES = ("400", "401", "403", "404", "409", "415", "422", "429", "500", "503")
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable; decide by this"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": True},
    },
    "additionalProperties": True,
}


class ProblemSchema(AutoSchema):
    """Documents, beside what a view says, the problem documents that every address may answer."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is not None:
            for status in PROBLEM_STATUSES:
                operation["responses"].setdefault(
                    status,
                    {
                        "description": problems.title_of(int(status)),
                        "content": {problems.CONTENT_TYPE: {"schema": PROBLEM_SCHEMA}},
                    },
                )
        return operation


class LedgerView(APIView):
    """Base of the API's views. Subclasses set `permission_classes` and call one service."""

    authentication_classes = (ApiKeyAuthentication,)
    schema = ProblemSchema()
    pagination_class: type[ByCursor] = ByCursor

    def get_exception_handler(self) -> Callable[..., Response]:
        return problems.exception_handler

    def page(
        self,
        request: Request,
        rows: QuerySet[Any],
        present: Callable[[Any], dict[str, Any]],
    ) -> Response:
        """One page of rows, each presented by a function."""
        paginator = self.pagination_class()
        found: Iterable[Model] = paginator.paginate_queryset(rows, request, view=self) or ()
        return paginator.get_paginated_response([present(row) for row in found])
