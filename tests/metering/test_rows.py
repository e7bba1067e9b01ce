"""Keys and fingerprints: what makes an event the same event, for ever."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.domain.bodies import decode_events
from metering.domain.events import Refusal
from metering.domain.rows import Packer, Row, instant_of, microseconds, signed
from tests.metering.conftest import NOW
from tests.metering.sending import event, tokens, void

SECRET = b"s" * 32
PINNED = [-6582042709019179925, 5442156201139522416, 6864870812389560142, -2831154673906117909]
SAME = (0, 1, 4, 5, 6)  # all but the order of arrival, and the event
PINNED_KEY = "cb3c704e5bcbe8be369d4f2fd99d5f41"


def row(sent: dict[str, Any], secret: bytes = SECRET) -> Row:
    events = decode_events(msgspec.json.encode([sent]), one=True, many=True)
    rows, refused = Packer(secret).rows(events, {"acme": 7}, {"images", "gpu_seconds"}, NOW)
    assert not refused
    return rows[0]


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
    found = [signed(row(one).fingerprint) for one in (FULL, usage, gpu, void("v", "req-1"))]
    assert found == PINNED
    assert row(FULL).key.hex() == PINNED_KEY


def test_the_order_of_fields_and_the_zone_of_a_time_are_not_content() -> None:
    other = dict(reversed(FULL.items())) | {"data": dict(reversed(FULL["data"].items()))}
    other["time"] = "2026-02-03T15:30:00.000+05:30"
    assert [row(other)[n] for n in SAME] == [row(FULL)[n] for n in SAME]


def test_every_field_is_content() -> None:
    prints = {row(FULL).fingerprint}
    for name, value in FULL["data"].items():
        changed = {int: 6, str: "batch" if name != "mode" else "serverless", bool: False}
        data = {**FULL["data"], name: changed[type(value)]}
        prints.add(row({**FULL, "data": data}).fingerprint)
    prints.add(row({**FULL, "time": "2026-02-03T10:00:01Z"}).fingerprint)
    assert len(prints) == 2 + len(FULL["data"])


def test_without_the_secret_nobody_knows_a_key() -> None:
    assert row(FULL).key != row(FULL, b"t" * 32).key


@settings(deadline=None)
@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_source_and_id_do_not_run_into_each_other(a: str, b: str, c: str, d: str) -> None:
    packer = Packer(SECRET)
    assert (packer.event_key(a, b) == packer.event_key(c, d)) == ((a, b) == (c, d))


@settings(deadline=None)
@given(st.integers(0, 2**53), st.integers(-14 * 60, 14 * 60))
def test_instants_survive_their_packing(occurred_us: int, minutes: int) -> None:
    instant = instant_of(occurred_us)
    assert microseconds(instant) == occurred_us
    assert instant == datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=occurred_us)


def refusal(sent: dict[str, Any]) -> Refusal:
    events = decode_events(msgspec.json.encode([sent]), one=True, many=True)
    rows, refused = Packer(SECRET).rows(events, {"acme": 7}, {"images"}, NOW)
    assert not rows
    return refused[0]


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
    assert row(tokens("a", time=edge.isoformat())).occurred_us == microseconds(edge)
    late = edge + timedelta(microseconds=1)
    assert refusal(tokens("a", time=late.isoformat())).code == "too_far_in_future"
    assert refusal(tokens("a", time="9999-12-31T23:59:59-14:00")).code == "too_far_in_future"


def test_a_time_before_the_service_is_refused() -> None:
    for time in ("0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z"):
        assert refusal(tokens("a", time=time)).code == "invalid_event"
