"""OpenAI's answers: Chat Completions, Responses, embeddings, and those who speak like them.

A record is the answer itself, or an object that holds it as `response` (a gateway's log line, the
stream event `response.completed`, a line of a Batch output with its `body`), or a bare usage
object with whatever a gateway put beside it. Cached tokens are part of the input and reasoning
tokens part of the output, as OpenAI counts them. Where a provider speaks Anthropic's dialect, in
which cached tokens stand beside the input, they are added to it.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    text,
)

TIMES = ("time", "timestamp", "completed_at", "created", "created_at")
_INPUT = ("prompt_tokens", "input_tokens")


def is_this(record: Mapping[str, Any]) -> bool:
    """Whether there is a usage object somewhere where this form has it."""
    answer = _answer(record)
    return "usage" in answer or "usage" in record or any(name in record for name in _INPUT)


def read(record: Mapping[str, Any]) -> list[Reading]:
    """The tokens of the answer."""
    answer = _answer(record)
    bare = any(name in record for name in _INPUT)
    usage = record if bare else answer.get("usage", record.get("usage"))
    if usage is None:
        # A chunk of a stream, or an answer that has only begun: its usage comes with its end.
        return [PassedOver("no_usage_yet")]
    if not isinstance(usage, dict):
        return [Unusable("bad_field", "usage is no object")]
    try:
        counted = tokens(usage)
        return [
            Usage(
                id=text(answer.get("id")) or text(record.get("id")),
                time=_time(record, answer),
                model=text(answer.get("model")) or text(record.get("model")),
                input_tokens=counted.input_tokens,
                cached_input_tokens=counted.cached_input_tokens,
                output_tokens=counted.output_tokens,
                reasoning_tokens=counted.reasoning_tokens,
                fields={**answer, **record},
            )
        ]
    except BadField as error:
        return [Unusable(error.code, str(error))]


def tokens(usage: Mapping[str, Any]) -> Tokens:
    """The four counts of a usage object. Raises BadField."""
    if "prompt_tokens" in usage:
        details = mapping(usage.get("prompt_tokens_details"))
        outer = mapping(usage.get("completion_tokens_details"))
        cached = details.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))
        return Tokens(
            count(usage["prompt_tokens"], "prompt_tokens"),
            count(cached, "cached_tokens"),
            count(usage.get("completion_tokens"), "completion_tokens"),
            count(outer.get("reasoning_tokens"), "reasoning_tokens"),
        )
    if "input_tokens" not in usage:
        raise BadField("neither prompt_tokens nor input_tokens", "no_usage")
    details = mapping(usage.get("input_tokens_details"))
    outer = mapping(usage.get("output_tokens_details"))
    whole = count(usage["input_tokens"], "input_tokens")
    cached = count(details.get("cached_tokens"), "cached_tokens")
    if not details and "cache_read_input_tokens" in usage:
        cached = count(usage["cache_read_input_tokens"], "cache_read_input_tokens")
        written = usage.get("cache_creation_input_tokens")
        whole += cached + count(written, "cache_creation_input_tokens")
    return Tokens(
        whole,
        cached,
        count(usage.get("output_tokens"), "output_tokens"),
        count(outer.get("reasoning_tokens"), "reasoning_tokens"),
    )


def _answer(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The provider's answer inside of a record; the record itself if it holds none."""
    inner = mapping(record.get("response"))
    body = mapping(inner.get("body"))
    return body or inner or record


def _time(record: Mapping[str, Any], answer: Mapping[str, Any]) -> Any:
    for place in (record, answer):
        for name in TIMES:
            found = instant(place.get(name), name)
            if found is not None:
                return found
    return None
