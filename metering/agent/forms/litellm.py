"""LiteLLM's StandardLoggingPayload: what its callbacks and its log files hold for each call.

`prompt_tokens` and `completion_tokens` are LiteLLM's own counts, cached and reasoning tokens
included; the parts stand in `metadata.usage_object`, or in the usage of the `response` where that
is kept. Costs (`response_cost` and the like) are floats and never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metering.agent.forms import openai
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

MARKS = ("call_type", "response_cost", "model_group", "model_map_information", "hidden_params")


def is_this(record: Mapping[str, Any]) -> bool:
    """Whether the payload lies here, bare or under the name that callbacks have it by."""
    payload = _payload(record)
    return "prompt_tokens" in payload and sum(mark in payload for mark in MARKS) >= 2


def read(record: Mapping[str, Any]) -> list[Reading]:
    """The tokens of the call, if it came to any."""
    payload = _payload(record)
    try:
        tokens = _tokens(payload)
        if payload.get("cache_hit") is True:
            # Answered out of LiteLLM's own cache: no model has worked, LiteLLM's cost is 0 too.
            return [PassedOver("gateway_cache_hit")]
        if payload.get("status") == "failure" and tokens == Tokens(0):
            return [PassedOver("failed_call")]
        time = instant(payload.get("endTime"), "endTime")
        return [
            Usage(
                id=text(payload.get("id")),
                time=time or instant(payload.get("startTime"), "startTime"),
                model=text(payload.get("model")) or text(payload.get("model_group")),
                input_tokens=tokens.input_tokens,
                cached_input_tokens=tokens.cached_input_tokens,
                output_tokens=tokens.output_tokens,
                reasoning_tokens=tokens.reasoning_tokens,
                fields=payload,
            )
        ]
    except BadField as error:
        return [Unusable(error.code, str(error))]


def _payload(record: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(record.get("standard_logging_object")) or record


def _tokens(payload: Mapping[str, Any]) -> Tokens:
    """LiteLLM's totals, and the parts as far as the provider's usage object tells them."""
    whole = count(payload["prompt_tokens"], "prompt_tokens")
    output = count(payload.get("completion_tokens"), "completion_tokens")
    usage = mapping(mapping(payload.get("metadata")).get("usage_object")) or mapping(
        mapping(payload.get("response")).get("usage")
    )
    if not usage:
        return Tokens(whole, 0, output, 0)
    parts = openai.tokens(usage)
    return Tokens(whole, parts.cached_input_tokens, output, parts.reasoning_tokens)
