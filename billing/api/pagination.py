"""Lists by cursor: `{"results": [...], "next": url or null}`, stable while rows are added."""

from typing import Any

from rest_framework.pagination import CursorPagination
from rest_framework.response import Response


class ByCursor(CursorPagination):
    """Newest first by id; a view sets another total order with `ordered_by`."""

    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 500
    ordering: Any = ("-id",)

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
