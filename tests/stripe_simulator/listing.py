"""Stripe's lists: newest first, cursors, `has_more`, and filters on moments.

Owns pagination; what is listed and how it is shown is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .call import Call
from .errors import exclusive, invalid, no_such
from .store import Json

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
DEFAULT_LIMIT, MAX_LIMIT = 10, 100


def limit_of(params: Json) -> int:
    """The page size, 1 to 100."""
    limit = int(params.get("limit", DEFAULT_LIMIT))
    if limit > MAX_LIMIT:
        raise limit_refused(limit, f"less than or equal to {MAX_LIMIT}")
    if limit < 1:
        raise limit_refused(limit, "greater than or equal to 1")
    return limit


def limit_refused(limit: int, bound: str) -> Exception:
    """Stripe's words for a page size out of bounds."""
    return invalid(
        f"This value must be {bound} (it currently is '{limit}').",
        param="limit",
        code="parameter_invalid_integer",
    )


class Filter:
    """Conditions of a query, built from the parameters that were sent."""

    def __init__(self, params: Json) -> None:
        self._params = params
        self.clauses = ["1"]
        self.values: list[Any] = []

    def add(self, clause: str, *values: Any) -> Filter:
        """A condition that always holds."""
        self.clauses.append(clause)
        self.values.extend(values)
        return self

    def equal(self, param: str, column: str | None = None) -> Filter:
        """Equality with a parameter, when it was sent."""
        if param in self._params:
            self.add(f"{column or param} = ?", self._params[param])
        return self

    def moment(self, param: str, column: str | None = None) -> Filter:
        """A moment or a range of moments, when it was sent."""
        wanted = self._params.get(param)
        if isinstance(wanted, int):
            self.add(f"{column or param} = ?", wanted)
        elif isinstance(wanted, dict):
            for name, value in wanted.items():
                self.add(f"{column or param} {COMPARISONS[name]} ?", value)
        return self


def page(
    call: Call, kind: str, url: str, filters: Filter, show: Callable[[Json], Json] | None = None
) -> Json:
    """One page of stored objects, newest first."""
    params, limit = call.params, limit_of(call.params)
    backwards = "ending_before" in params
    if backwards and "starting_after" in params:
        raise exclusive("ending_before", "starting_after")
    for param, comparison in (("starting_after", "<"), ("ending_before", ">")):
        if param in params:
            place = call.store.sequence(kind, params[param])
            if place is None:
                raise no_such(kind, params[param], param=param, status=400)
            filters.add(f"seq {comparison} ?", place)
    bodies = call.store.select(
        kind,
        " AND ".join(filters.clauses),
        *filters.values,
        order="ASC" if backwards else "DESC",
        limit=limit + 1,
    )
    has_more = len(bodies) > limit
    bodies = bodies[:limit]
    if backwards:
        bodies.reverse()
    return envelope([show(body) if show else body for body in bodies], has_more, url)


def page_of(call: Call, kind: str, url: str, bodies: list[Json]) -> Json:
    """One page of a list that is already in memory and in order."""
    params, limit = call.params, limit_of(call.params)
    ids = [body["id"] for body in bodies]
    start, end = 0, len(bodies)
    for param in ("starting_after", "ending_before"):
        if param in params and params[param] not in ids:
            raise no_such(kind, params[param], param=param, status=400)
    if "ending_before" in params:
        if "starting_after" in params:
            raise exclusive("ending_before", "starting_after")
        end = ids.index(params["ending_before"])
        start = max(0, end - limit)
        return envelope(bodies[start:end], start > 0, url)
    if "starting_after" in params:
        start = ids.index(params["starting_after"]) + 1
    end = start + limit
    return envelope(bodies[start:end], len(bodies) > end, url)


def envelope(data: list[Json], has_more: bool, url: str) -> Json:
    """The list object."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}
