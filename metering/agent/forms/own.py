"""Our own form: CloudEvents as POST /api/v1/usage takes them.

Only what the agent itself relies on is checked here; whether an event is right the service says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.agent.forms.fields import BadField, Own, Reading, Unusable, instant

NEEDED = ("id", "source", "subject", "time", "type")


def is_this(record: Mapping[str, Any]) -> bool:
    """Whether it is a CloudEvent, or means to be one."""
    kind = record.get("type")
    return "specversion" in record or (isinstance(kind, str) and kind.startswith("inference."))


def read(record: Mapping[str, Any]) -> list[Reading]:
    """The event as it is, if the agent can report it."""
    for name in NEEDED:
        if not isinstance(record.get(name), str) or not record[name]:
            return [Unusable("invalid_event", f"{name} is missing or no text")]
    if not isinstance(record.get("data"), dict):
        return [Unusable("invalid_event", "data is missing or no object")]
    try:
        instant(record["time"], "time")
    except BadField as error:
        return [Unusable("invalid_event", str(error))]
    return [Own({"specversion": "1.0", **record})]
