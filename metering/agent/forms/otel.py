"""OpenTelemetry's GenAI attributes: OTLP/JSON as collectors write it, or a span as SDKs print it.

Attribute names are those of the semantic conventions: `gen_ai.usage.input_tokens` includes
`gen_ai.usage.cache_read.input_tokens`, `gen_ai.usage.output_tokens` includes
`gen_ai.usage.reasoning.output_tokens`. Only tokens are read, never a cost. Spans of agents,
workflows and tools repeat the tokens of the calls inside them, so they are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from metering.agent.forms.fields import (
    BadField,
    PassedOver,
    Reading,
    Tokens,
    Unusable,
    Usage,
    count,
    instant,
    mapping,
    nanoseconds,
    text,
)

PREFIX = "gen_ai.usage."
# The name of today first, then what it was called before.
INPUT = ("input_tokens", "prompt_tokens")
CACHED = ("cache_read.input_tokens", "cache_read_input_tokens", "input_tokens.cached")
OUTPUT = ("output_tokens", "completion_tokens")
REASONING = ("reasoning.output_tokens", "reasoning_output_tokens", "output_tokens.reasoning")
INFERENCE = frozenset({"chat", "text_completion", "generate_content", "embeddings", ""})
_BATCHES = {"resourceSpans": ("scopeSpans", "spans"), "resourceLogs": ("scopeLogs", "logRecords")}


def is_this(record: Mapping[str, Any]) -> bool:
    """Whether it is OTLP/JSON, or one span or log record with GenAI attributes."""
    if any(isinstance(record.get(name), list) for name in _BATCHES):
        return True
    attributes = record.get("attributes")
    if isinstance(attributes, list):
        attributes = _plain(attributes)
    return any(name.startswith(PREFIX) for name in [*mapping(attributes), *record])


def read(record: Mapping[str, Any]) -> list[Reading]:
    """One reading for each span or log record that holds usage."""
    for name, (scopes, spans) in _BATCHES.items():
        if isinstance(record.get(name), list):
            return [_one(span, shared) for span, shared in _spans(record[name], scopes, spans)]
    return [_one(record, {})]


def _spans(
    batches: list[Any], scopes: str, spans: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each span with the attributes of its resource."""
    for batch in map(mapping, batches):
        shared = _plain(mapping(batch.get("resource")).get("attributes"))
        for scope in batch.get(scopes) or ():
            for span in mapping(scope).get(spans) or ():
                yield mapping(span), shared


def _one(span: Mapping[str, Any], shared: Mapping[str, Any]) -> Reading:
    own = span.get("attributes")
    attributes = _plain(own) if isinstance(own, list) else (mapping(own) or span)
    if not any(name.startswith(PREFIX) for name in attributes):
        return PassedOver("no_usage")
    operation = text(attributes.get("gen_ai.operation.name"))
    if operation not in INFERENCE:
        return PassedOver("not_inference")
    resource = shared or mapping(mapping(span.get("resource")).get("attributes"))
    try:
        tokens = Tokens(
            *(_count(attributes, names) for names in (INPUT, CACHED, OUTPUT, REASONING))
        )
        return Usage(
            id=text(attributes.get("gen_ai.response.id")) or _span_id(span),
            time=_time(span),
            model=text(attributes.get("gen_ai.response.model"))
            or text(attributes.get("gen_ai.request.model")),
            input_tokens=tokens.input_tokens,
            cached_input_tokens=tokens.cached_input_tokens,
            output_tokens=tokens.output_tokens,
            reasoning_tokens=tokens.reasoning_tokens,
            fields={**resource, **attributes},
        )
    except BadField as error:
        return Unusable(error.code, str(error))


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int:
    for name in names:
        if attributes.get(PREFIX + name) is not None:
            return count(attributes[PREFIX + name], PREFIX + name)
    return 0


def _span_id(span: Mapping[str, Any]) -> str:
    context = mapping(span.get("context"))
    trace = text(span.get("traceId")) or text(context.get("trace_id"))
    own = text(span.get("spanId")) or text(context.get("span_id"))
    return f"{trace}/{own}" if trace and own else ""


def _time(span: Mapping[str, Any]) -> datetime | None:
    for name in ("endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano", "startTimeUnixNano"):
        found = nanoseconds(span.get(name), name)
        if found is not None:
            return found
    for name in ("end_time", "time", "timestamp", "start_time"):
        found = instant(span.get(name), name)
        if found is not None:
            return found
    return None


def _plain(attributes: Any) -> dict[str, Any]:
    """OTLP's list of {key, value: {stringValue | intValue | ...}} as an object."""
    found: dict[str, Any] = {}
    for one in attributes if isinstance(attributes, list) else ():
        value = mapping(mapping(one).get("value"))
        if "intValue" in value:
            # 64 bits do not fit a JSON number, so OTLP writes them as text.
            digits = str(value["intValue"])
            plain: Any = (
                int(digits) if digits.lstrip("-").isdigit() and len(digits) < 21 else digits
            )
        else:
            plain = next(iter(value.values()), None)
        found[text(mapping(one).get("key"))] = plain
    return found
