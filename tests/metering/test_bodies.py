"""From bytes to events: what is refused as a whole, what one by one, and that nothing breaks."""

import gzip
import json
import tracemalloc
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.domain.bodies import MalformedBody, TooLarge, decode_events, unpack
from metering.domain.events import Refusal, TokensEvent
from tests.metering.sending import event, tokens, void

GZIPPED = gzip.compress(b"x", mtime=0)  # Two workers must see the same bytes.
GOOD = json.dumps(tokens("a")).encode()


def decode(body: bytes, **options: Any) -> list[Any]:
    return list(decode_events(body, **{"one": True, "many": True, **options}))


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"1", b'"a"', b"[", b"[1", b"[1,]", b"[1 2]", b"[,]", b"[] x", b"{",
        b"{} {}", b"[NaN]", b"[Infinity]", b"\xff", b"[\xff]", b'[{"id": "\xff"}]',
        b"[" * 100_000, b"[" + b"[" * 100_000 + b"]" * 100_000 + b"]", b"[{]", b"[}",
        GOOD + GOOD, b"[" + GOOD, GOOD[:-1],
    ],
)  # fmt: skip
def test_a_body_that_is_no_json_fails_as_a_whole(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        decode(body)


@pytest.mark.parametrize("value", ["1.5", "1e3", "-1", str(2**53), str(2**63), "9" * 5000, '"7"',
                                   "true", "null", "[]"])  # fmt: skip
def test_a_quantity_that_is_no_quantity_refuses_its_event_alone(value: str) -> None:
    bad = GOOD.replace(b'"output_tokens": 1000000', f'"output_tokens": {value}'.encode())
    assert bad != GOOD
    first, second = decode(b"[" + bad + b"," + GOOD + b"]")
    assert isinstance(first, Refusal)
    assert (first.index, first.id, first.code) == (0, "a", "invalid_event")
    assert isinstance(second, TokensEvent)


def test_the_largest_quantity_is_a_quantity() -> None:
    [found] = decode(json.dumps([tokens("a", output=2**53 - 1)]).encode())
    assert found.data.output_tokens == 2**53 - 1


@pytest.mark.parametrize(
    "change",
    [
        {"time": "2026-02-03T10:00:00"}, {"time": "yesterday"}, {"time": 1}, {"id": ""},
        {"id": "x" * 201}, {"id": 5}, {"source": ""}, {"subject": ""}, {"specversion": "0.3"},
        {"type": "inference.other"}, {"data": None}, {"data": {}}, {"id": "nul\0"},
        {"data": {"model": "m", "mode": "serverless", "input_tokens": 1, "ouput_tokens": 2}},
        {"data": {"model": "m", "mode": "fast", "input_tokens": 1}},
        {"data": {"model": "m\0", "mode": "batch", "input_tokens": 1}},
        {"data": {"model": "m", "mode": "batch", "input_tokens": 1, "project": "p" * 101}},
        {"data": {"model": "m", "mode": "batch", "input_tokens": 1, "async": "no"}},
    ],
)  # fmt: skip
def test_an_event_that_is_not_as_documented_is_refused_alone(change: dict[str, Any]) -> None:
    found = decode(json.dumps([tokens("a") | change, tokens("b")]).encode())
    assert [isinstance(one, Refusal) for one in found] == [True, False]


def test_extension_attributes_are_passed_over_but_unknown_data_is_not() -> None:
    data = {"model": "m", "mode": "batch", "quantities": {"images": 1}}
    fine = event("a", "usage", data, traceparent="00-1", datacontenttype="application/json")
    misspelt = event("b", "usage", {**data, "projekt": "x"})
    assert [type(one) for one in decode(json.dumps([fine, misspelt]).encode())][1] is Refusal
    assert not isinstance(decode(json.dumps([fine]).encode())[0], Refusal)


def test_text_that_only_looks_like_a_nul_is_text() -> None:
    [found] = decode(json.dumps([tokens("a\\u0000")]).encode())
    assert found.id == "a\\u0000"


def test_a_lone_surrogate_refuses_its_event_alone() -> None:
    found = decode(b"[" + GOOD.replace(b'"a"', b'"\\ud800"') + b"," + GOOD + b"]")
    assert [isinstance(one, Refusal) for one in found] == [True, False]


def test_the_content_type_says_which_forms_are_allowed() -> None:
    with pytest.raises(MalformedBody):
        decode_events(GOOD, one=False, many=True)
    with pytest.raises(MalformedBody):
        decode_events(b"[" + GOOD + b"]", one=True, many=False)


@pytest.mark.parametrize("one", [GOOD, b"1"])
def test_more_events_than_allowed_are_too_large(one: bytes) -> None:
    assert len(decode(b"[" + b",".join([one] * 3) + b"]", max_events=3)) == 3
    with pytest.raises(TooLarge):
        decode(b"[" + b",".join([one] * 4) + b"]", max_events=3)


def test_where_millions_of_elements_begin_is_not_noted() -> None:
    body = b"[" + b"1," * 4_000_000 + b"1]"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decode(body)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(body)
    finally:
        tracemalloc.stop()


def test_gzip_is_unpacked_up_to_the_limit_and_no_further() -> None:
    assert unpack(gzip.compress(b"x" * 100), "gzip", max_bytes=100) == b"x" * 100
    with pytest.raises(TooLarge):
        unpack(gzip.compress(b"x" * 101), "GZIP", max_bytes=100)
    with pytest.raises(TooLarge):
        unpack(b"x" * 101, "", max_bytes=100)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (GZIPPED[:-1], "gzip"), (b"nothing of the kind", "gzip"), (b"", "gzip"),
        (GZIPPED + b"y", "gzip"), (zlib.compress(b"x"), "gzip"), (b"x", "br"),
    ],
)  # fmt: skip
def test_a_broken_stream_is_malformed(body: bytes, encoding: str) -> None:
    with pytest.raises(MalformedBody):
        unpack(body, encoding)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=15
)
changed = st.builds(
    lambda base, name, value: {**base, name: value},
    st.sampled_from([tokens("a"), void("v", "a")]),
    st.sampled_from(["specversion", "id", "source", "subject", "time", "type", "data", "more"]),
    anything,
)


@settings(deadline=None)
@given(st.lists(changed | anything | st.just(tokens("b")), max_size=6))
def test_whatever_json_comes_every_element_is_an_event_or_a_refusal(batch: list[Any]) -> None:
    try:
        found = decode(json.dumps(batch).encode())
    except MalformedBody:
        assert any(text in json.dumps(batch) for text in ("NaN", "Infinity"))
        return
    assert len(found) == len(batch)
    for index, (sent, got) in enumerate(zip(batch, found, strict=True)):
        assert isinstance(got, Refusal) or sent["id"] == got.id
        assert not isinstance(got, Refusal) or got.index == index


@settings(deadline=None)
@given(st.lists(changed | st.just(tokens("b")), max_size=6), st.integers(0, 3))
def test_an_event_is_read_alike_wherever_a_bad_one_stands(batch: list[Any], place: int) -> None:
    """What is valid is decoded in a hurry until something is not."""
    with suppress(MalformedBody):
        alone = decode(json.dumps(batch).encode())
        found = decode(json.dumps([*batch[:place], None, *batch[place:]]).encode())
        del found[min(place, len(batch))]
        assert [one if isinstance(one, Refusal) else one.id for one in alone] == [
            replace(one, index=number) if isinstance(one, Refusal) else one.id
            for number, one in enumerate(found)
        ]


@settings(deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda noise: GOOD[:90] + noise))
def test_whatever_bytes_come_only_our_own_errors_come_out(body: bytes) -> None:
    for form in (body, b"[" + body + b"]"):
        with suppress(MalformedBody, TooLarge):
            decode(form)


@pytest.mark.parametrize(
    "name", ["two\nlines", "tab\t", "\x00", "del\x7f", "c1\x85", "ls\u2028", "ps\u2029"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_model_with_control_characters_refuses_its_event_alone(
    name: str, ascii_only: bool
) -> None:
    gpu = {"sku": name, "mode": "dedicated", "gpu_seconds": 1}
    usage = {"model": name, "mode": "serverless", "quantities": {"images": 1}}
    body = [
        tokens("a", model=name), tokens("b"), event("c", "gpu", gpu),
        event("d", "usage", usage), tokens("e", model="r\u00e9sum\u00e9 \\ 7b"),
        void("f", "b"),
    ]  # fmt: skip
    found = decode(json.dumps(body, ensure_ascii=ascii_only).encode())
    refused = [one for one in found if isinstance(one, Refusal)]
    assert [(one.index, one.id, one.code) for one in refused] == [
        (0, "a", "invalid_event"), (2, "c", "invalid_event"), (3, "d", "invalid_event"),
    ]  # fmt: skip
    assert all("control" in one.detail or "NUL" in one.detail for one in refused)
