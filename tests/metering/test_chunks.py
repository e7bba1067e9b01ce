"""Keys and fingerprints: what makes an event the same event, for ever."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.domain.bodies import decode_events
from metering.domain.columns import OCCURRED, Columns, instant_of, microseconds
from metering.domain.events import Refusal
from metering.domain.reading import EventKeys, fingerprint, read
from tests.metering.conftest import NOW
from tests.metering.sending import event, tokens, void

SECRET = b"s" * 32
PINNED = [3374119077, 1356792717, 3045531925, 1378132553]
PINNED_KEY = "cb3c704e5bcbe8be369d4f2fd99d5f41"


def packed(
    *sent: dict[str, Any], secret: bytes = SECRET, now: datetime = NOW
) -> tuple[Columns, list[Refusal]]:
    events = decode_events(msgspec.json.encode(sent), one=True, many=True)
    reading = read(events, meters=lambda: {"images", "gpu_seconds"}, secret=secret, now=now)
    columns, refused = reading.columns({"acme": 7, "bolt": 9})
    return (Columns.joined([columns])[0] if len(columns) else columns), refused


def said(columns: Columns, *, but_for: Collection[str] = ()) -> dict[str, Any]:
    """What columns say, to be compared; of the origins, who has which."""
    arrays = ("figures", "keys", "fingerprints", "place_in_request")
    return {
        "origin": [columns.origins[one] for one in columns.origin],
        "origins": set(columns.origins),
        "refs": columns.refs(),
        "runs": columns.runs() if len(columns) else [],
        **{name: getattr(columns, name).tolist() for name in arrays if name not in but_for},
        **{name: getattr(columns, name) for name in ("ids", "extras", "targets")},
    }


def row(sent: dict[str, Any], secret: bytes = SECRET) -> Columns:
    columns, refused = packed(sent, secret=secret)
    assert not refused
    return columns


def print_of(sent: dict[str, Any]) -> int:
    [found] = row(sent).fingerprints.tolist()
    return int(found)


FULL = event(
    "req-1",
    "tokens",
    {
        "model": "llama", "mode": "batch", "input_tokens": 12, "cached_input_tokens": 5,
        "output_tokens": 7, "reasoning_tokens": 3, "endpoint": "e", "project": "p", "region": "r",
        "async": True,
    },
)  # fmt: skip


def test_a_fingerprint_is_the_same_in_every_release() -> None:
    """If this fails, events sent again after an upgrade would be conflicts, not duplicates."""
    usage = event("u", "usage", {"model": "m", "mode": "batch", "quantities": {"images": 2}})
    gpu = event("g", "gpu", {"sku": "h", "mode": "dedicated", "gpu_seconds": 9})
    found = [print_of(one) for one in (FULL, usage, gpu, void("v", "req-1"))]
    assert found == PINNED
    [(_, key)] = row(FULL).refs()
    assert key.hex() == PINNED_KEY


def test_the_order_of_fields_and_the_zone_of_a_time_are_not_content() -> None:
    other = dict(reversed(FULL.items())) | {"data": dict(reversed(FULL["data"].items()))}
    other["time"] = "2026-02-03T15:30:00.000+05:30"
    assert said(row(other)) == said(row(FULL))


def test_every_field_is_content() -> None:
    prints = {print_of(FULL)}
    for name, value in FULL["data"].items():
        changed = {int: 6, str: "batch" if name != "mode" else "serverless", bool: False}
        data = {**FULL["data"], name: changed[type(value)]}
        prints.add(print_of({**FULL, "data": data}))
    prints.add(print_of({**FULL, "time": "2026-02-03T10:00:01Z"}))
    assert len(prints) == 2 + len(FULL["data"])


def test_without_the_secret_nobody_knows_a_key() -> None:
    assert row(FULL).refs() != row(FULL, b"t" * 32).refs()


@settings(deadline=None)
@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_source_and_id_do_not_run_into_each_other(a: str, b: str, c: str, d: str) -> None:
    keys = EventKeys(SECRET)
    assert (keys.key(a, b) == keys.key(c, d)) == ((a, b) == (c, d))


@settings(deadline=None)
@given(st.integers(0, 2**53), st.integers(-14 * 60, 14 * 60))
def test_instants_survive_their_packing(occurred_us: int, minutes: int) -> None:
    instant = instant_of(occurred_us)
    assert microseconds(instant) == occurred_us
    assert instant == datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=occurred_us)


def refusal(sent: dict[str, Any]) -> Refusal:
    columns, [refused] = packed(sent)
    assert not len(columns)
    return refused


def test_events_lie_in_runs_of_one_customer_each() -> None:
    gpu = event("g", "gpu", {"sku": "h", "mode": "dedicated", "gpu_seconds": 9})
    sent = [
        tokens("a"), {**gpu, "subject": "bolt"}, tokens("b", model="qwen"), tokens("c"),
        tokens("d", subject="bolt"), tokens("e", subject="nobody"), void("v", "a"),
    ]  # fmt: skip
    columns, [refused] = packed(*sent)
    assert (refused.index, refused.code) == (5, "unknown_customer")
    assert columns.ids == ["a", "b", "c", "v", "g", "d"]
    assert columns.place_in_request.tolist() == [0, 2, 3, 6, 1, 4]
    first, second = columns.runs()
    assert (first.customer_id, first.first_place, first.event_count) == (7, 1, 4)
    assert (first.first_origin, first.origin_count, first.has_hardware) == (1, 3, False)
    assert (second.customer_id, second.first_place, second.event_count) == (9, 5, 2)
    assert (second.first_origin, second.origin_count, second.has_hardware) == (4, 2, True)
    for place, number in enumerate(columns.origin):
        run = first if place < 4 else second
        assert run.first_origin <= number + 1 < run.first_origin + run.origin_count


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=7, max_size=7))
def test_leaving_events_out_is_as_if_they_had_not_come(kept: list[bool]) -> None:
    gpu = event("g", "gpu", {"sku": "h", "mode": "dedicated", "gpu_seconds": 9})
    usage = event("u", "usage", {"model": "m", "mode": "batch", "quantities": {"images": 2}})
    sent = [
        tokens("a"), {**gpu, "subject": "bolt"}, tokens("b", model="qwen"), usage,
        tokens("d", subject="bolt"), tokens("e"), void("v", "a"),
    ]  # fmt: skip
    whole, _ = packed(*sent)
    flags = [kept[place] for place in whole.place_in_request]
    left = whole.only(flags)
    alone, _ = packed(*(one for one, keep in zip(sent, kept, strict=True) if keep))
    assert said(left, but_for=["place_in_request"]) == said(alone, but_for=["place_in_request"])


def test_a_fingerprint_taken_alone_is_that_of_the_loop() -> None:
    usage = event("u", "usage", {"model": "m", "mode": "batch", "quantities": {"images": 2}})
    for sent in (FULL, usage, void("v", "req-1")):
        one = row(sent)
        alone = fingerprint(one.origins[0], one.figures[0].tolist(), one.extras.get(0))
        assert alone == one.fingerprints[0]


def test_numbers_that_contradict_each_other_refuse_an_event() -> None:
    base = {"model": "m", "mode": "batch", "input_tokens": 1, "output_tokens": 1}
    for more in ({"cached_input_tokens": 2}, {"reasoning_tokens": 2}):
        assert refusal(event("a", "tokens", {**base, **more})).code == "invalid_event"
    gpu = {"sku": "h", "mode": "dedicated", "gpu_seconds": 1, "busy_gpu_seconds": 2}
    assert refusal(event("a", "gpu", gpu)).code == "invalid_event"
    songs = {"model": "m", "mode": "batch", "quantities": {"songs": 1}}
    assert "songs" in refusal(event("a", "usage", songs)).detail


def test_the_future_begins_after_five_minutes() -> None:
    edge = NOW + timedelta(minutes=5)
    [figures] = row(tokens("a", time=edge.isoformat())).figures.tolist()
    assert figures[OCCURRED] == microseconds(edge)
    late = edge + timedelta(microseconds=1)
    assert refusal(tokens("a", time=late.isoformat())).code == "too_far_in_future"
    assert refusal(tokens("a", time="9999-12-31T23:59:59-14:00")).code == "too_far_in_future"


def test_a_time_before_the_service_is_refused() -> None:
    for time in ("0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z"):
        assert refusal(tokens("a", time=time)).code == "invalid_event"


def test_joined_columns_are_those_of_one_request() -> None:
    gpu = event("g", "gpu", {"sku": "h", "mode": "dedicated", "gpu_seconds": 9})
    usage = event("u", "usage", {"model": "m", "mode": "batch", "quantities": {"images": 2}})
    first = [tokens("a"), tokens("b", subject="bolt"), void("v", "a")]
    second = [tokens("c", model="qwen"), {**gpu, "subject": "bolt"}, tokens("d")]
    third = [tokens("e", subject="bolt"), usage]
    parts = [packed(*one)[0] for one in (first, second, third)]
    joined, stood = Columns.joined(parts)
    assert joined.ids == ["a", "v", "c", "d", "u", "b", "g", "e"]
    assert stood.tolist() == [0, 1, 3, 4, 6, 2, 5, 7]
    whole, _ = packed(*first, *second, *third)
    assert said(joined, but_for=["place_in_request"]) == said(whole, but_for=["place_in_request"])
