"""Each form's records come to the right tokens, ids and times, or to a reason why not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from metering.agent import forms
from metering.agent.forms.fields import Own, PassedOver, Unusable, Usage
from tests.agent.samples import CHAT, LITELLM, OTLP, RESPONSE, SPAN, own


def counted(reading: Any) -> tuple[int, int, int, int]:
    assert isinstance(reading, Usage), reading
    return (
        reading.input_tokens, reading.cached_input_tokens,
        reading.output_tokens, reading.reasoning_tokens,
    )  # fmt: skip


def only(record: Any) -> Any:
    readings = forms.read(record)
    assert len(readings) == 1, readings
    return readings[0]


@pytest.mark.parametrize(
    ("record", "tokens", "identity", "model", "time"),
    [
        (CHAT, (2006, 1920, 300, 192), CHAT["id"], "gpt-4.1-2025-04-14", "10:00:00"),
        (RESPONSE, (328, 64, 52, 20), RESPONSE["id"], "gpt-4.1-2025-04-14", "10:00:01"),
        ({"type": "response.completed", "response": RESPONSE}, (328, 64, 52, 20), RESPONSE["id"],
         "gpt-4.1-2025-04-14", "10:00:01"),
        (LITELLM, (1200, 800, 150, 40), "chatcmpl-8a1f", "llama-3.3-70b", "10:00:00.125000"),
        ({"standard_logging_object": LITELLM}, (1200, 800, 150, 40), "chatcmpl-8a1f",
         "llama-3.3-70b", "10:00:00.125000"),
        (SPAN, (100, 0, 7, 0), "chatcmpl-77", "llama-3.3-70b", "10:00:01.500000"),
    ],
)  # fmt: skip
def test_what_a_record_says(
    record: Any, tokens: tuple[int, ...], identity: str, model: str, time: str
) -> None:
    reading = only(record)
    assert counted(reading) == tokens
    assert (reading.id, reading.model) == (identity, model)
    assert reading.time.isoformat() == f"2026-02-03T{time}+00:00"


def test_an_otlp_line_holds_several_spans_and_those_of_agents_repeat_tokens() -> None:
    chat, agent = forms.read(OTLP)
    assert counted(chat) == (811, 640, 92, 12)
    assert isinstance(chat, Usage)
    assert chat.id == "5b8efff798038103d269b633813fc60c/eee19b7ec3c1b174"
    assert chat.fields["customer.id"] == "acme", "the resource's attributes count for its spans"
    assert agent == PassedOver("not_inference")


def test_litellm_without_the_providers_usage_object() -> None:
    payload = copy.deepcopy(LITELLM)
    del payload["metadata"]["usage_object"]
    assert counted(only(payload)) == (1200, 0, 150, 0)
    payload["response"] = {"usage": {"prompt_tokens": 1200, "prompt_tokens_details":
                                     {"cached_tokens": 700}}}  # fmt: skip
    assert counted(only(payload)) == (1200, 700, 150, 0)


def test_what_litellm_answers_out_of_its_cache_or_fails_to_is_not_billed() -> None:
    assert only({**LITELLM, "cache_hit": True}) == PassedOver("gateway_cache_hit")
    failed = {**LITELLM, "status": "failure", "prompt_tokens": 0, "completion_tokens": 0}
    failed["metadata"] = {**LITELLM["metadata"], "usage_object": None}
    assert only(failed) == PassedOver("failed_call")


def test_anthropics_dialect_counts_cached_input_beside_the_input() -> None:
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 90,
             "output_tokens": 7}  # fmt: skip
    assert counted(only({"id": "msg_1", "model": "m", "usage": usage})) == (105, 90, 7, 0)


def test_a_bare_usage_object_with_a_gateways_fields_beside_it() -> None:
    bare = {"request_id": "r", "model": "m", "prompt_tokens": 5, "completion_tokens": 2}
    assert counted(only(bare)) == (5, 0, 2, 0)


def test_embeddings_have_no_output() -> None:
    answer = {"object": "list", "model": "e5", "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    assert counted(only(answer)) == (8, 0, 0, 0)


def test_a_chunk_before_the_last_has_no_usage_yet() -> None:
    chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "usage": None}
    assert only(chunk) == PassedOver("no_usage_yet")


def test_our_own_form_is_reported_as_it_is() -> None:
    assert only(own(1)) == Own(own(1))
    void = own(2, type="inference.void", data={"source": "gateway/1", "id": "req-1"})
    assert only(void) == Own(void)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ([1], "unknown_form"), ("text", "unknown_form"), ({"hello": 1}, "unknown_form"),
        ({**CHAT, "usage": {"prompt_tokens": 1.0}}, "bad_quantity"),
        ({**CHAT, "usage": {"prompt_tokens": -1}}, "bad_quantity"),
        ({**CHAT, "usage": {"prompt_tokens": True}}, "bad_quantity"),
        ({**CHAT, "usage": {"prompt_tokens": 2**53}}, "bad_quantity"),
        ({**CHAT, "usage": {"prompt_tokens": "7"}}, "bad_quantity"),
        ({**CHAT, "usage": {}}, "no_usage"), ({**CHAT, "usage": 7}, "bad_field"),
        ({**CHAT, "created": "yesterday"}, "bad_time"), ({**CHAT, "created": 1e300}, "bad_time"),
        ({**CHAT, "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}},
         "inconsistent"),
        ({"attributes": {"gen_ai.usage.input_tokens": 1.5}}, "bad_quantity"),
        (own(1, id=""), "invalid_event"), (own(1, data=[]), "invalid_event"),
        (own(1, time="soon"), "invalid_event"), (own(1, subject=7), "invalid_event"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_why(record: Any, code: str) -> None:
    reading = only(record)
    assert isinstance(reading, Unusable), reading
    assert reading.code == code


def test_a_dead_letter_can_be_fed_in_again() -> None:
    assert only({"dead_letter": 1, "code": "unknown_customer", "event": own(3)}) == Own(own(3))
    again = only({"dead_letter": 1, "code": "no_customer", "record": CHAT})
    assert counted(again) == (2006, 1920, 300, 192)
