"""The local port: 2xx means durable, 503 means come again, and the numbers are there to be read."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from metering.agent.agent import Agent
from tests.agent.running import an_agent, letters, settings, until
from tests.agent.samples import CHAT, LITELLM, OTLP, own
from tests.agent.service import FakeService, Reply


def ask(
    agent: Agent, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection(*agent.ports[0].place, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    text = answer.read()
    told = json.loads(text) if "json" in answer.headers["Content-Type"] else text.decode()
    return answer.status, told, dict(answer.headers)


def post(agent: Agent, record: Any, **headers: str) -> tuple[int, Any, dict[str, str]]:
    return ask(agent, "POST", "/", json.dumps(record).encode(), **headers)


def test_records_of_all_forms_in_one_body(service: FakeService, tmp_path: Path) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:
        litellm = {**LITELLM, "metadata": {**LITELLM["metadata"], "customer": "acme"}}
        status, told, _ = post(agent, [own(1), CHAT, litellm, OTLP])
        assert (status, told) == (200, {"accepted": 4, "passed_over": 1, "refused": []})
        until(lambda: len(service.events) == 4)
        assert {key[0] for key in service.events} == {"acme"}


def test_lines_and_gzip(service: FakeService, tmp_path: Path) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:
        lines = "\n".join(json.dumps(own(n)) for n in range(3)).encode()
        packed = gzip.compress(lines)
        kind = {"Content_Type": "application/x-ndjson", "Content_Encoding": "gzip"}
        assert ask(agent, "POST", "/events", packed, **kind)[1]["accepted"] == 3
        assert ask(agent, "POST", "/events", packed[:20], **kind)[0] == 400
        bomb = gzip.compress(b" " * (17 * 2**20))
        assert ask(agent, "POST", "/events", bomb, **kind)[0] == 413
        until(lambda: len(service.events) == 3)


def test_what_is_wrong_is_told_and_kept(service: FakeService, tmp_path: Path) -> None:
    made = settings(service.url, tmp_path)
    with an_agent(made) as agent:
        status, told, _ = post(agent, [own(1), {"x": 1}, own(2, id="")])
        assert status == 207
        assert [(one["index"], one["code"]) for one in told["refused"]] == [
            (1, "unknown_form"), (2, "invalid_event"),
        ]  # fmt: skip
        assert post(agent, {"x": 1})[0] == 422
        assert ask(agent, "POST", "/", b"[{]")[0] == 400
        assert ask(agent, "POST", "/elsewhere", b"{}")[0] == 404
        assert (
            ask(agent, "POST", "/v1/traces", b"x", Content_Type="application/x-protobuf")[0] == 415
        )
    assert [one["code"] for one in letters(made)] == [
        "unknown_form", "invalid_event", "unknown_form",
    ]  # fmt: skip


def test_headers_name_the_customer_and_are_not_kept(service: FakeService, tmp_path: Path) -> None:
    made = settings(service.url, tmp_path)
    with an_agent(made) as agent:
        nobody = {"id": "a", "model": "m", "prompt_tokens": 1}
        assert post(agent, nobody, X_Customer="bolt", Authorization="Bearer sk-1")[0] == 200
        assert post(agent, {**nobody, "id": "b"}, Authorization="Bearer sk-1")[0] == 422
        until(lambda: len(service.events) == 1)
    assert next(iter(service.events))[0] == "bolt"
    everything = [path.read_bytes() for path in made.state_dir.rglob("*") if path.is_file()]
    assert not any(b"sk-1" in content for content in everything)


def test_without_an_id_the_request_needs_an_idempotency_key(
    service: FakeService, tmp_path: Path
) -> None:
    """Two like records may be one that was sent twice, or two: only the caller knows."""
    with an_agent(settings(service.url, tmp_path)) as agent:
        nameless = {"model": "m", "customer": "acme", "prompt_tokens": 1, "time": 1770112800}
        assert post(agent, nameless)[1]["refused"][0]["code"] == "no_id"
        for key in ("one", "one", "two"):
            assert post(agent, nameless, Idempotency_Key=key)[0] == 200
        until(lambda: len(service.events) == 2)


def test_a_caller_that_repeats_itself_is_counted_once(service: FakeService, tmp_path: Path) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:
        untimed = {"id": "a", "model": "m", "customer": "acme", "prompt_tokens": 1}
        for _ in range(3):
            assert post(agent, untimed)[0] == 200
        until(lambda: len(service.events) == 1)
        until(lambda: agent.counts.gauge("undelivered_events") == 0)
        assert agent.delivered.rows()[0]["events"] == 1
        assert agent.counts.of("repeated") == 2


def test_a_full_spool_answers_503_and_takes_again_once_there_is_room(
    service: FakeService, tmp_path: Path
) -> None:
    service.judge = lambda events: Reply(503)
    with an_agent(settings(service.url, tmp_path, spool_bytes=40_000)) as agent:
        taken = []
        for number in range(1000):
            status, _, headers = post(agent, own(number))
            if status == 503:
                break
            taken.append(number)
        assert headers["Retry-After"] == "5"
        assert 20 < len(taken) < 1000
        assert agent.counts.gauge("intake_paused") == 1
        service.judge = lambda events: None
        until(lambda: len(service.events) == len(taken))
        until(lambda: post(agent, own(5000))[0] == 200)


def test_full_dead_letters_stop_the_intake(service: FakeService, tmp_path: Path) -> None:
    made = settings(service.url, tmp_path, dead_letter_bytes=2_000)
    with an_agent(made) as agent:
        statuses = [post(agent, {"x": "y" * 100})[0] for _ in range(30)]
        assert statuses[0] == 422 and statuses[-1] == 503
        (made.state_dir / "dead-letters.jsonl").rename(tmp_path / "looked-at")
        assert post(agent, own(1))[0] == 200


def test_many_callers_at_once(service: FakeService, tmp_path: Path) -> None:
    with an_agent(settings(service.url, tmp_path)) as agent:

        def call(name: int) -> None:
            for n in range(20):
                assert post(agent, own(name * 100 + n))[0] == 200

        threads = [threading.Thread(target=call, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: len(service.events) == 160)


def test_what_it_tells(service: FakeService, tmp_path: Path) -> None:
    service.judge = lambda events: Reply(503)
    made = settings(service.url, tmp_path, status="127.0.0.1:0")
    with an_agent(made) as agent:
        post(agent, [own(1), own(2)])
        until(lambda: agent.counts.gauge("oldest_undelivered_seconds") > 0, 10)
        assert ask(agent, "GET", "/healthz")[0] == 200
        text = ask(agent, "GET", "/metrics")[1]
        assert "metering_agent_undelivered_events 2\n" in text
        assert 'metering_agent_taken_total{kind="http"} 2\n' in text
        state = ask(agent, "GET", "/state")[1]
        assert state["state"] == "retrying" and "503" in state["problem"]
        until(lambda: (made.state_dir / "state.json").exists())
        assert json.loads((made.state_dir / "state.json").read_text())["undelivered_events"] == 2
        status_port = http.client.HTTPConnection(*agent.ports[1].place, timeout=5)
        status_port.request("POST", "/", b"{}")
        assert status_port.getresponse().status == 404, "the status port takes nothing"
        service.judge = lambda events: None
        until(lambda: len(service.events) == 2)
        until(lambda: len(ask(agent, "GET", "/totals")[1]["results"]) == 1)


@pytest.mark.parametrize(
    "head",
    ["POST / HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", "junk\r\n"],
)
def test_half_requests_do_no_harm(service: FakeService, tmp_path: Path, head: str) -> None:
    import socket

    with an_agent(settings(service.url, tmp_path)) as agent:
        with socket.create_connection(agent.ports[0].place) as connection:
            connection.sendall(head.encode())
        assert post(agent, own(1))[0] == 200
        until(lambda: len(service.events) == 1)


def test_a_caller_that_repeats_itself_after_a_crash_is_counted_once(
    service: FakeService, tmp_path: Path
) -> None:
    """The agent was killed after the events were safe and before it could say so."""
    made = settings(service.url, tmp_path)
    untimed = {"id": "a", "model": "m", "customer": "acme", "prompt_tokens": 1}
    for start in range(2):
        with an_agent(made) as agent:
            assert post(agent, [untimed, own(1)])[0] == 200
            assert agent.counts.of("repeated") == 2 * start
            until(lambda: len(service.events) == 2)  # And for the totals to be written:
            until(lambda: agent.counts.gauge("undelivered_events") == 0)
    assert sum(row["events"] for row in agent.delivered.rows()) == 2
