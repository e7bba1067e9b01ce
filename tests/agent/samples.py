"""Records as their makers write them, cut to what matters, prompts left out."""

from __future__ import annotations

from typing import Any

CHAT: dict[str, Any] = {
    "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion",
    "created": 1770112800, "model": "gpt-4.1-2025-04-14",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello!"},
                 "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
    },
    "service_tier": "default", "metadata": {"customer": "acme"},
}  # fmt: skip

RESPONSE: dict[str, Any] = {
    "id": "resp_67ccd2bed1ec8190b14f964abc054267", "object": "response", "created_at": 1770112801,
    "status": "completed", "model": "gpt-4.1-2025-04-14", "metadata": {"customer": "acme"},
    "usage": {
        "input_tokens": 328, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 52,
        "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 380,
    },
}  # fmt: skip

LITELLM: dict[str, Any] = {
    "id": "chatcmpl-8a1f", "trace_id": "6f2c", "call_type": "acompletion", "stream": True,
    "response_cost": 0.000285, "status": "success", "custom_llm_provider": "hosted_vllm",
    "total_tokens": 1350, "prompt_tokens": 1200, "completion_tokens": 150,
    "startTime": 1770112799.25, "endTime": 1770112800.125, "completionStartTime": 1770112799.5,
    "response_time": 0.25, "model": "llama-3.3-70b", "model_id": "c41b", "model_group": "llama",
    "model_map_information": {"model_map_key": "llama-3.3-70b", "model_map_value": None},
    "api_base": "http://inference.internal:8000/v1",
    "metadata": {
        "user_api_key_hash": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
        "user_api_key_alias": "acme-prod", "user_api_key_team_id": "team-acme",
        "user_api_key_user_id": "u-1", "user_api_key_org_id": None,
        "user_api_key_end_user_id": None, "requester_ip_address": "10.0.0.7",
        "spend_logs_metadata": None, "requester_metadata": {},
        "usage_object": {
            "prompt_tokens": 1200, "completion_tokens": 150, "total_tokens": 1350,
            "prompt_tokens_details": {"cached_tokens": 800, "text_tokens": None},
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
    },
    "cache_hit": None, "cache_key": None, "saved_cache_cost": 0.0, "request_tags": ["prod"],
    "end_user": "", "model_parameters": {"temperature": 0.2},
    "hidden_params": {"response_cost": "0.000285", "additional_headers": {}},
}  # fmt: skip

# Two spans of one line, as the OpenTelemetry collector's file exporter writes them.
OTLP: dict[str, Any] = {
    "resourceSpans": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "assistant"}},
            {"key": "customer.id", "value": {"stringValue": "acme"}}]},
        "scopeSpans": [{"scope": {"name": "opentelemetry.instrumentation.openai_v2"}, "spans": [
            {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
             "name": "chat gpt-4.1", "kind": 3, "startTimeUnixNano": "1770112800000000000",
             "endTimeUnixNano": "1770112801500000000", "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.provider.name", "value": {"stringValue": "openai"}},
                {"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4.1"}},
                {"key": "gen_ai.response.model", "value": {"stringValue": "gpt-4.1-2025-04-14"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "811"}},
                {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": "640"}},
                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "92"}},
                {"key": "gen_ai.usage.reasoning.output_tokens", "value": {"intValue": "12"}},
                {"key": "gen_ai.usage.cost", "value": {"doubleValue": 0.0031}}]},
            {"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "00f067aa0ba902b7",
             "name": "invoke_agent helper", "endTimeUnixNano": "1770112802000000000",
             "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
                {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "811"}},
                {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "92"}}]}]}],
    }],
}  # fmt: skip

# As the Python SDK's console exporter prints a span.
SPAN: dict[str, Any] = {
    "name": "chat llama", "context": {"trace_id": "0x5b8efff798038103d269b633813fc60c",
                                      "span_id": "0xeee19b7ec3c1b174", "trace_state": "[]"},
    "kind": "SpanKind.CLIENT", "parent_id": None, "start_time": "2026-02-03T10:00:00.000000Z",
    "end_time": "2026-02-03T10:00:01.500000Z",
    "attributes": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "llama-3.3-70b",
                   "gen_ai.response.id": "chatcmpl-77", "gen_ai.usage.input_tokens": 100,
                   "gen_ai.usage.output_tokens": 7},
    "resource": {"attributes": {"customer.id": "acme"}, "schema_url": ""},
}  # fmt: skip


def own(number: int, **given: Any) -> dict[str, Any]:
    """An event in the service's own form; the number makes its id and its tokens."""
    return {
        "specversion": "1.0", "id": f"req-{number}", "source": "gateway/1", "subject": "acme",
        "time": "2026-02-03T10:00:00.125Z", "type": "inference.tokens",
        "data": {"model": "llama-3.3-70b", "mode": "serverless", "input_tokens": number,
                 "output_tokens": 1},
        **given,
    }  # fmt: skip
