"""What the service answers decides what becomes of a batch; without an answer it is sent again."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from metering.agent.agent import Agent
from metering.agent.client import retry_after
from metering.agent.settings import Settings
from tests.agent.running import KEY, an_agent, letters, settings, until
from tests.agent.samples import own
from tests.agent.service import Event, FakeService, Reply, problem


def send(agent: Agent, *events: Event) -> None:
    """Put events straight into an agent's spool."""
    import json

    from metering.agent.intake import Arrived

    agent.intake.take(
        [Arrived(json.dumps(one).encode(), "") for one in events], by="test", live=True
    )


def deliver(
    service: FakeService, home: Path, events: list[Event], **given: Any
) -> tuple[Settings, Agent]:
    """Run an agent until it has nothing left."""
    made = settings(service.url, home, **given)
    with an_agent(made) as agent:
        send(agent, *events)
        until(lambda: agent.counts.gauge("undelivered_events") == 0)
    return made, agent


def numbers(service: FakeService) -> list[int]:
    return sorted(int(one["id"].removeprefix("req-")) for one in list(service.events.values()))


EVENTS = [own(n) for n in range(10)]


def test_a_batch_is_gzipped_cloudevents_with_the_key(service: FakeService, tmp_path: Path) -> None:
    deliver(service, tmp_path, EVENTS)
    assert service.batches[0] == EVENTS
    headers = service.headers[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/cloudevents-batch+json"
    assert headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(500, "oops"), Reply(502, "<html>"), problem(503, "overloaded"), problem(429, "slow"),
        Reply(200, sent_bytes=-1), Reply(200, sent_bytes=20, accepts=True),
        Reply(200, "<html>welcome to the hotel</html>"), Reply(200, {"accepted": 3}, accepts=True),
        Reply(200, {"accepted": 3, "duplicates": 0, "refused": []}),
        Reply(207, {"accepted": 9, "duplicates": 0, "refused": [{"index": 77, "code": "x"}]}),
        Reply(400, "<h1>Bad request</h1>"), Reply(404, "nobody"), problem(401, "not_authenticated"),
        problem(403, "permission_denied"), Reply(302, "", {"Location": "http://127.0.0.2/"}),
        Reply(204), Reply(408, "slow"),
    ],
)  # fmt: skip
def test_anything_but_a_whole_answer_is_asked_again(
    service: FakeService, tmp_path: Path, reply: Reply
) -> None:
    service.replies += [reply, reply]
    made, agent = deliver(service, tmp_path, EVENTS)
    assert numbers(service) == list(range(10))
    assert len(service.batches) >= 3, "a loaded machine may let another one time out"
    assert letters(made) == []
    assert agent.counts.of("delivered") == 10


def test_an_answer_that_comes_too_late_is_none(service: FakeService, tmp_path: Path) -> None:
    service.replies.append(Reply(200, accepts=True, seconds=0.6))
    _, agent = deliver(service, tmp_path, EVENTS, timeout_seconds=0.2)
    assert numbers(service) == list(range(10))
    assert agent.counts.of("delivered", "duplicates") == 10


def test_refused_events_go_to_the_dead_letters_with_the_reason(
    service: FakeService, tmp_path: Path
) -> None:
    service.refuse = lambda event: (
        ("unknown_customer", "no zoe here") if event["subject"] == "zoe" else None
    )
    made, agent = deliver(service, tmp_path, [*EVENTS, own(50, subject="zoe")])
    assert numbers(service) == list(range(10))
    (letter,) = letters(made)
    assert (letter["code"], letter["detail"]) == ("unknown_customer", "no zoe here")
    assert letter["event"] == own(50, subject="zoe")
    assert agent.counts.of("dead_letters", "unknown_customer") == 1


def test_all_refused_is_422_and_all_are_dead_letters(service: FakeService, tmp_path: Path) -> None:
    service.refuse = lambda event: ("invalid_event", "bad")
    made, _ = deliver(service, tmp_path, EVENTS)
    assert [one["event"]["id"] for one in letters(made)] == [one["id"] for one in EVENTS]


def test_too_large_a_batch_is_split(service: FakeService, tmp_path: Path) -> None:
    service.judge = lambda events: problem(413, "too_large") if len(events) > 3 else None
    made, _ = deliver(service, tmp_path, EVENTS)
    assert numbers(service) == list(range(10))
    assert letters(made) == []


def test_one_event_that_the_service_cannot_read_is_found_by_halving(
    service: FakeService, tmp_path: Path
) -> None:
    service.judge = lambda events: (
        problem(400, "malformed_body") if any(one["id"] == "req-6" for one in events) else None
    )
    made, _ = deliver(service, tmp_path, EVENTS)
    assert numbers(service) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert [(one["code"], one["event"]["id"]) for one in letters(made)] == [
        ("malformed_body", "req-6")
    ]


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_waited_for(service: FakeService, tmp_path: Path, as_date: bool) -> None:
    # A date has whole seconds: from one to two of them from now.
    value = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    service.replies.append(problem(429, "too_fast", headers={"Retry-After": value}))
    deliver(service, tmp_path, EVENTS)
    first, second = service.asked_at
    assert second - first >= 0.95


def test_retry_after_that_makes_no_sense() -> None:
    assert retry_after("soon", 0) == 0
    assert retry_after("-3", 0) == 0
    assert retry_after("1.5", 0) == 0
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT", 2e9) == 0
    assert retry_after("99999999999999999999", 0) == 3600


def test_a_key_that_is_renewed_in_its_file_takes_effect(
    service: FakeService, tmp_path: Path
) -> None:
    made = settings(service.url, tmp_path)
    service.judge = lambda events: (
        None
        if service.headers[-1]["Authorization"] == "Bearer the-new-one"
        else problem(401, "not_authenticated")
    )
    with an_agent(made) as agent:
        send(agent, *EVENTS)
        until(lambda: agent.counts.state()["state"] == "denied")
        assert "401" in agent.counts.state()["problem"]
        Path(made.key_file).write_text("the-new-one")
        until(lambda: len(service.events) == 10)
        until(lambda: agent.counts.state()["state"] == "idle")


def test_pauses_grow_and_are_spread(service: FakeService, tmp_path: Path) -> None:
    service.replies += [Reply(500)] * 6
    deliver(service, tmp_path, EVENTS, backoff_first_seconds=0.05, backoff_most_seconds=0.2)
    pauses = [b - a for a, b in zip(service.asked_at, service.asked_at[1:], strict=False)]
    assert len(pauses) == 6
    assert max(pauses) < 0.35, "never longer than the most"
    assert len({round(one, 3) for one in pauses}) > 1


def test_totals_count_each_event_once_by_customer_model_mode_and_hour(
    service: FakeService, tmp_path: Path
) -> None:
    service.replies += [Reply(200, sent_bytes=5, accepts=True), Reply(503)]
    late = own(100, time="2026-02-03T12:30:00+01:00")
    _, agent = deliver(service, tmp_path, [*EVENTS, EVENTS[0], late, own(7, subject="bolt")])
    assert agent.delivered.rows() == [
        {"customer": "acme", "model": "llama-3.3-70b", "mode": "serverless",
         "hour": "2026-02-03T10:00:00Z", "events": 10, "input_tokens": 45, "output_tokens": 10},
        {"customer": "acme", "model": "llama-3.3-70b", "mode": "serverless",
         "hour": "2026-02-03T11:00:00Z", "events": 1, "input_tokens": 100, "output_tokens": 1},
        {"customer": "bolt", "model": "llama-3.3-70b", "mode": "serverless",
         "hour": "2026-02-03T10:00:00Z", "events": 1, "input_tokens": 7, "output_tokens": 1},
    ]  # fmt: skip


def test_totals_and_place_survive_starts_and_the_rewriting_of_their_log(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metering.agent.delivered.REWRITE_BYTES", 600)
    made = settings(service.url, tmp_path, batch_events=3)
    for start in range(0, 30, 10):
        with an_agent(made) as agent:
            send(agent, *(own(n) for n in range(start, start + 5)))
            until(lambda: agent.counts.gauge("undelivered_events") == 0)
            send(agent, *(own(n) for n in range(start + 5, start + 10)))
            until(lambda: agent.counts.gauge("undelivered_events") == 0)
    (row,) = agent.delivered.rows()
    assert (row["events"], row["input_tokens"]) == (30, sum(range(30)))
    assert len(service.events) == 30
    assert sum(map(len, service.batches)) == 30, "nothing was sent twice"
    assert (made.state_dir / "delivered.log").stat().st_size < 1200


def test_one_connection_serves_many_batches(service: FakeService, tmp_path: Path) -> None:
    deliver(service, tmp_path, [own(n) for n in range(3000)], batch_events=500)
    assert len(service.batches) == 6
    assert service.connections == 1


def test_a_disk_without_room_for_dead_letters_holds_the_delivery_up(
    service: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.refuse = lambda event: ("invalid_event", "bad") if event["id"] == "req-3" else None
    made = settings(service.url, tmp_path)
    with an_agent(made) as agent:
        add = agent.letters._append

        def no_room(lines: str) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(agent.letters, "_append", no_room)
        send(agent, *EVENTS)
        until(lambda: agent.counts.state()["state"] == "no_room")
        assert agent.counts.gauge("undelivered_events") == 10
        monkeypatch.setattr(agent.letters, "_append", add)
        until(lambda: agent.counts.gauge("undelivered_events") == 0)
    assert [one["event"]["id"] for one in letters(made)] == ["req-3"]
