"""The demo's traffic: every request once, the same in every run, and a story for each customer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.demo import cast, traffic
from tests.demo.__main__ import TRACE
from tests.demo.trace import TracedRequest, TraceRefused, read_trace
from tests.demo.traffic import choose_scale, spread


@pytest.fixture(scope="module")
def trace() -> list[TracedRequest]:
    return read_trace(TRACE)


def test_the_trace_is_read_whole(trace: list[TracedRequest]) -> None:
    assert len(trace) == 19_366
    assert sum(one.input_tokens for one in trace) == 22_361_870
    assert sum(one.output_tokens for one in trace) == 4_088_665


def test_every_request_is_one_event(trace: list[TracedRequest]) -> None:
    scale = choose_scale(trace)
    events = spread(trace, scale)
    assert len({event.id for event in events}) == len(trace)
    tokens = [sum(event.body["data"][name] for event in events)
              for name in ("input_tokens", "output_tokens")]  # fmt: skip
    assert tokens == [22_361_870 * scale, 4_088_665 * scale]
    assert all(cast.BOUNDARIES[0] <= one.occurred_at < cast.BOUNDARIES[-1] for one in events)
    assert all(one.reported_at >= one.occurred_at for one in events)
    assert events == spread(trace, scale)


def test_each_customer_has_its_character(trace: list[TracedRequest]) -> None:
    events = spread(trace, 1)
    by_quarter = Counter(
        (one.customer, sum(one.occurred_at >= start for start in cast.BOUNDARIES)) for one in events
    )
    acme, dune = ([by_quarter[key, q] for q in (1, 2, 3)] for key in ("acme", "dune"))
    assert max(acme) < 1.1 * min(acme)
    assert dune[0] < dune[1] < dune[2]
    assert not any(one.customer == "cinder" for one in events)
    bolt = Counter(one.occurred_at.isocalendar()[:2] for one in events if one.customer == "bolt")
    assert max(bolt.values()) > 10 * sorted(bolt.values())[len(bolt) // 2]
    assert {one.body["data"]["mode"] for one in events} == {mode for mode, _ in cast.MODES}


def test_some_are_late(trace: list[TracedRequest]) -> None:
    late = [one for one in spread(trace, 1) if one.reported_at != one.occurred_at]
    assert 100 < len(late) < 400
    posted = [one for one in late if any(
        one.reported_at == end + traffic.POSTED_DELAY for end in cast.BOUNDARIES)]  # fmt: skip
    assert 0 < len(posted) < len(late)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_a_short_trace_will_do(trace: list[TracedRequest], count: int) -> None:
    scale = choose_scale(trace[:count])
    events = spread(trace[:count], scale)
    assert len(events) == count
    assert all(event.body["data"]["input_tokens"] < 2**53 for event in events)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column TIMESTAMP"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no requests"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,x,1\n", "request 1"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1\n", "request 1"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,-1,1\n", "below 0"),
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(TraceRefused, match=words):
        read_trace(path)
