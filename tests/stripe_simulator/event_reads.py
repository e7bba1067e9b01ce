"""Events as the API shows them: retrieve and list, 30 days back, with the state of deliveries."""

from __future__ import annotations

from .call import Call
from .errors import exclusive, no_such
from .listing import Filter, page
from .store import Json

LISTS = {"created", "delivery_success", "type", "types"}
KEPT_SECONDS = 30 * 86_400
UNDELIVERED = "SELECT 1 FROM deliveries WHERE event = objects.id AND state != 'delivered'"


def shown(call: Call, event: Json) -> Json:
    """The event with the number of deliveries that have not succeeded."""
    rows = call.store.rows(
        "SELECT COUNT(*) FROM deliveries WHERE event = ? AND state != 'delivered'", event["id"]
    )
    return {**event, "pending_webhooks": int(rows[0][0])}


def retrieve(call: Call) -> Json:
    """GET /v1/events/{id}."""
    event = call.get("event", call.path["id"], param="id")
    if event["created"] < call.now - KEPT_SECONDS:
        raise no_such("event", event["id"], param="id")
    return shown(call, event)


def list_(call: Call) -> Json:
    """GET /v1/events."""
    params = call.params
    if "type" in params and "types" in params:
        raise exclusive("type", "types")
    filters = Filter(params).moment("created")
    filters.add("created >= ?", call.now - KEPT_SECONDS)
    wanted = params.get("types", [params["type"]] if "type" in params else [])
    if wanted:
        patterns = [type_.replace("*", "%") for type_ in wanted]
        filters.add(f"({' OR '.join(['state LIKE ?'] * len(patterns))})", *patterns)
    if "delivery_success" in params:
        filters.add(f"{'NOT ' if params['delivery_success'] else ''}EXISTS ({UNDELIVERED})")
    return page(call, "event", "/v1/events", filters, lambda event: shown(call, event))
