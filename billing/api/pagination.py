"""Lists by cursor: `{"results": [...], "next": url or null}`, stable while rows are added."""

import sys
from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class ByCursor(CursorPagination):
    """Newest first by id; a view sets another total order with `ordered_by`."""

    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 500
    ordering: Any = ("-id",)
    # A cursor counts its way through rows that are equal in the first field: through any number.
    offset_cutoff = sys.maxsize

    def paginate_queryset(
        self,
        queryset: QuerySet[Any] | Sequence[Any],
        request: Request,
        view: APIView | None = None,
    ) -> list[Any] | None:
        """The page that the cursor names; NotFound for one that names no place in this list."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, ValidationError, DataError) as error:
            raise NotFound(self.invalid_cursor_message) from error

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "format": "uri", "nullable": True},
            },
        }


def ordered_by(*fields: str) -> type[ByCursor]:
    """A pagination by these fields, which must make a total order."""
    return type("ByCursorOf", (ByCursor,), {"ordering": fields})
