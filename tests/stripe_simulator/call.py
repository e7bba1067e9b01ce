"""One call as an operation sees it: parameters, the store, the time, and the way to emit events.

Owns the shape that every operation module works with; knows nothing of HTTP or idempotency.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from .errors import SchemaViolation, no_such
from .spec import API_VERSION, Spec
from .store import Json, Store, new_id, public

DEFAULT_MODES: Json = {
    "paused": False,
    "delay_seconds": 0.0,
    "duplicates": 0,
    "reorder": False,
    "drop": 0,
    "retry_seconds": 0.5,
    "parallel": 1,
}


@dataclass
class Call:
    """What one request, or one act of the simulator itself, works on."""

    store: Store
    spec: Spec
    now: int
    params: Json = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None
    idempotency_key: str | None = None

    def get(self, kind: str, id_: str, *, param: str, status: int = 404) -> Json:
        """The object, or Stripe's "No such ..."."""
        body = self.store.find(kind, id_)
        if body is None:
            raise no_such(kind, id_, param=param, status=status)
        return body

    def named(self, param: str, kind: str | None = None) -> Json:
        """The object that a parameter names; 400 when there is none."""
        return self.get(kind or param, self.params[param], param=param, status=400)

    def emit(self, type_: str, body: Json, before: Json | None = None) -> Json:
        """Record an event with a snapshot of `body` and queue its deliveries.

        `before` is the same object as it was shown earlier; what differs becomes
        `previous_attributes`.
        """
        problems = self.spec.object_problems(snapshot_kind(body), public(body))
        if problems:
            raise SchemaViolation(f"event {type_}", problems)
        data: Json = {"object": public(body)}
        if before is not None:
            data["previous_attributes"] = difference(public(before), data["object"])
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": type_,
        }
        self.store.add(event)
        queue_deliveries(self.store, event)
        return event


def snapshot_kind(body: Json) -> str:
    """The schema that an event's object follows."""
    return f"deleted_{body['object']}" if body.get("deleted") else str(body["object"])


def difference(before: Json, after: Json) -> Json:
    """The earlier values of what changed, nested objects only where they differ."""
    changed: Json = {}
    for key, now in after.items():
        then = before.get(key)
        if then == now:
            continue
        if isinstance(then, dict) and isinstance(now, dict):
            changed[key] = {
                name: then.get(name) for name in {**then, **now} if then.get(name) != now.get(name)
            }
        else:
            changed[key] = then
    return changed


def queue_deliveries(store: Store, event: Json) -> None:
    """One outbox row for every endpoint that wants the event."""
    modes = {**DEFAULT_MODES, **store.setting("webhook_modes", {})}
    due_at = time.time() + float(modes["delay_seconds"])
    for endpoint in store.select("webhook_endpoint", "state = 'enabled'"):
        wanted = endpoint["enabled_events"]
        if "*" in wanted or event["type"] in wanted:
            store.run(
                "INSERT INTO deliveries (event, endpoint, due_at, state, copies)"
                " VALUES (?, ?, ?, 'pending', ?)",
                event["id"],
                endpoint["id"],
                due_at,
                int(modes["duplicates"]),
            )


def given(params: Json, *names: str) -> dict[str, Any]:
    """The named parameters that were sent, "" read as unset (null)."""
    return {
        name: (None if params[name] == "" else params[name]) for name in names if name in params
    }
