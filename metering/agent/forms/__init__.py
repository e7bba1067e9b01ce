"""From a decoded record to usage, whichever of the known forms the record has.

Owns which form is which. A record can hold several usages (an OTLP line) or none that is to be
billed; whatever becomes of it is said, never left out.
"""

from __future__ import annotations

from typing import Any

from metering.agent.forms import litellm, openai, otel, own
from metering.agent.forms.fields import PassedOver, Reading, Unusable, Usage

__all__ = ["PassedOver", "Reading", "Unusable", "Usage", "read"]

FORMS = (own, otel, litellm, openai)


def read(record: Any) -> list[Reading]:
    """What a decoded JSON record says, in its order; at least one reading."""
    if not isinstance(record, dict):
        return [Unusable("unknown_form", "the record is not a JSON object")]
    again = _out_of_a_dead_letter(record)
    if again is not None:
        return read(again)
    for form in FORMS:
        if form.is_this(record):
            return form.read(record) or [PassedOver("empty")]
    return [Unusable("unknown_form", "neither CloudEvent, OpenAI, LiteLLM nor OpenTelemetry usage")]


def _out_of_a_dead_letter(record: dict[str, Any]) -> dict[str, Any] | None:
    """What a line of our own dead letters holds: fed in again, it is tried again."""
    if record.get("dead_letter") != 1:
        return None
    held = record.get("event") or record.get("record")
    return held if isinstance(held, dict) and held.get("dead_letter") != 1 else None
