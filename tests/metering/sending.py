"""Events as an agent would send them, and a way to send them."""

import json
from datetime import datetime
from typing import Any

from metering.services.ingest import IngestResult, ingest
from tests.metering.conftest import NOW

AT = "2026-02-03T10:00:00Z"


def event(event_id: str, kind: str, data: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "gateway/1",
        "subject": "acme",
        "time": AT,
        "type": f"inference.{kind}",
        "data": data,
        **attributes,
    }


def tokens(event_id: str, output: int = 1_000_000, **attributes: Any) -> dict[str, Any]:
    """Output tokens of llama, a million of them unless told: two dollars at list price."""
    model = attributes.pop("model", "llama")
    data = {"model": model, "mode": "serverless", "input_tokens": 0, "output_tokens": output}
    return event(event_id, "tokens", data, **attributes)


def void(event_id: str, target: str, **attributes: Any) -> dict[str, Any]:
    return event(event_id, "void", {"source": "gateway/1", "id": target}, **attributes)


def send(*events: dict[str, Any], now: datetime = NOW, **options: Any) -> IngestResult:
    body = json.dumps(events).encode()
    return ingest(body=body, content_type="application/json", now=now, **options)


def codes(result: IngestResult) -> list[tuple[int, str]]:
    return [(one.index, one.code) for one in result.refused]
