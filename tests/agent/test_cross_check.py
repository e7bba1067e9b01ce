"""Which totals are told for the cross-check, when, and what becomes of the answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from metering.agent.agent import Agent
from metering.agent.delivered import Delivered, totals_of
from metering.agent.frames import MARK
from metering.agent.segments import Place
from tests.agent.running import KEY, SetClock, an_agent, settings, until
from tests.agent.samples import own
from tests.agent.service import Event, FakeService, Reply, agreed, problem
from tests.agent.test_delivery import send

START, OVER = "2026-02-03T09:50:00Z", "2026-02-03T11:11:00Z"
DIFFERENCE = {
    "customer": "acme", "hour": "2026-02-03T10:00:00Z", "model": "llama-3.3-70b",
    "mode": "serverless", "meter": "output_tokens", "reported": 2, "stored": 1,
}  # fmt: skip


@contextmanager
def checked(
    service: FakeService, home: Path, *events: Event, start: str = START, **given: Any
) -> Iterator[tuple[Agent, SetClock]]:
    """An agent that has delivered events, and asks all the time; nothing is over yet."""
    clock = SetClock(start)
    with an_agent(settings(service.url, home, cross_check_seconds=0.05, **given), clock) as agent:
        deliver(agent, *events)
        yield agent, clock


def deliver(agent: Agent, *events: Event) -> None:
    send(agent, *events)
    until(lambda: agent.counts.gauge("undelivered_events") == 0)


def turns(agent: Agent, clock: SetClock, count: int = 3) -> None:
    """Let some turns pass."""
    waits = [0]
    wait = clock.wait

    def counted(event: Any, seconds: float) -> bool:
        waits[0] += 0.04 < seconds < 0.06
        return wait(event, seconds)

    clock.wait = counted  # type: ignore[method-assign]
    until(lambda: waits[0] > count)


def told_input(service: FakeService) -> list[int]:
    return [one["quantities"]["input_tokens"] for told in service.told for one in told["totals"]]


def said(agent: Agent) -> dict[str, Any]:
    nothing = {"state": "", "problem": "", "hours_told": 0}
    found: dict[str, Any] = agent.counts.state().get("cross_check", nothing)
    return found


def test_an_hour_is_told_once_it_is_over_and_again_when_it_has_changed(
    service: FakeService, tmp_path: Path
) -> None:
    with checked(service, tmp_path, own(1), own(2), name="gateway/7") as (agent, clock):
        clock.set("2026-02-03T11:09:00Z")
        turns(agent, clock)
        assert service.told == [], "usage may be under way yet"
        clock.set(OVER)
        until(lambda: said(agent)["hours_told"] == 1)
        turns(agent, clock)
        assert service.told == [{"source": "gateway/7", "totals": [{
            "customer": "acme", "hour": "2026-02-03T10:00:00Z", "model": "llama-3.3-70b",
            "mode": "serverless", "quantities": {"input_tokens": 3, "output_tokens": 2},
        }]}]  # fmt: skip
        deliver(agent, own(4))
        until(lambda: len(service.told) == 2)
    assert told_input(service) == [3, 7]


def test_hours_known_in_part_are_not_told(service: FakeService, tmp_path: Path) -> None:
    later = own(5, time="2026-02-03T11:00:00Z")
    with checked(service, tmp_path, own(1), later, start="2026-02-03T10:01:00Z") as (agent, clock):
        clock.set("2026-02-03T12:11:00Z")
        until(lambda: said(agent)["hours_told"] == 1)
    assert told_input(service) == [5]
    first = said(agent)["source"]
    assert first.startswith("metering-agent/")
    with checked(service, tmp_path, start="2026-02-03T12:30:00Z") as (agent, _):
        until(lambda: said(agent)["hours_told"] == 1)
        assert said(agent)["source"] == first, "a start in between takes nothing from an hour"
    assert told_input(service) == [5, 5]


def test_a_new_name_or_a_damaged_log_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "delivered.log"

    def opened(name: str, now: float) -> tuple[str, float]:
        log = Delivered(path)
        log.be_known(name, f"drawn-{now:.0f}", now)
        log.record(Place(1, int(now)), totals_of([own(1)]), now)
        log.close()
        return log.name, log.since

    assert opened("", 1_000) == ("drawn-1000", 1_000)
    assert opened("", 2_000) == ("drawn-1000", 1_000)
    assert opened("east", 3_000) == ("east", 3_000)
    assert opened("", 4_000) == ("east", 3_000)
    path.write_bytes(path.read_bytes() + MARK + b"torn")
    assert opened("", 5_000) == ("east", 3_000), "what was torn is delivered again"
    content = bytearray(path.read_bytes())
    content[content.index(MARK, 1) + 20] ^= 1  # Of two frames behind the first, the first.
    path.write_bytes(content)
    assert opened("", 6_000) == ("east", 6_000)


def test_a_difference_stands_when_it_is_found_twice_and_until_it_is_gone(
    service: FakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [[DIFFERENCE], []]
    service.compare = lambda told: agreed(told, *(answers.pop(0) if answers else [DIFFERENCE]))
    caplog.set_level(logging.INFO)
    with checked(service, tmp_path, own(1), own(2)) as (agent, clock):
        clock.set(OVER)
        until(lambda: len(service.told) == 2)
        turns(agent, clock)
        assert len(service.told) == 2, "found once, then settled: another agent has told its part"
        assert "differ" not in caplog.text
        deliver(agent, own(4))
        until(lambda: agent.counts.gauge("cross_check_differences") == 1)
        assert said(agent)["differences"] == [DIFFERENCE]
        assert "metering_agent_cross_check_differences 1" in agent.counts.prometheus()
        turns(agent, clock)
        assert caplog.text.count("1 counts differ") == 1, "said once"
        assert KEY not in caplog.text
        service.compare = agreed
        until(lambda: agent.counts.gauge("cross_check_differences") == 0)
    assert "agree again" in caplog.text


@pytest.mark.parametrize("status", [403, 404])
def test_a_service_that_wants_no_totals_is_left_alone(
    service: FakeService, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    service.compare = lambda told: Reply(status, "<h1>no</h1>")
    with checked(service, tmp_path, own(1)) as (agent, clock):
        clock.set(OVER)
        until(lambda: said(agent)["state"] == "off")
        deliver(agent, own(2))
        assert agent.counts.state()["state"] in ("delivering", "idle")
    assert len(service.told) == 1
    assert caplog.text.count("cross-check is off") == 1


@pytest.mark.parametrize(
    "reply",
    [Reply(500), Reply(200, sent_bytes=-1), Reply(200, "<p>hi</p>"), Reply(200, {"checked": 9}),
     Reply(200, [1]), Reply(422, "a proxy's"), problem(401, "invalid_key")],
)  # fmt: skip
def test_a_failure_disturbs_nothing_and_the_next_turn_tells_again(
    service: FakeService, tmp_path: Path, reply: Reply
) -> None:
    service.compare = lambda told: reply
    with checked(service, tmp_path, own(1)) as (agent, clock):
        clock.set(OVER)
        until(lambda: len(service.told) >= 2)
        until(lambda: said(agent)["problem"] != "")
        deliver(agent, own(2))
        assert agent.counts.state()["state"] in ("delivering", "idle")
        service.compare = agreed
        until(lambda: said(agent)["hours_told"] == 1)
        until(lambda: said(agent)["problem"] == "")


def test_totals_that_the_service_refuses_hold_up_no_others(
    service: FakeService, tmp_path: Path
) -> None:
    def compare(told: dict[str, Any]) -> Reply:
        if any(one["customer"] == "zoe" for one in told["totals"]):
            return problem(422, "invalid_totals")
        return agreed(told)

    service.compare = compare
    events = [own(n, subject=who) for n, who in enumerate(("acme", "bolt", "zoe", "zorro"))]
    with checked(service, tmp_path, *events) as (agent, clock):
        clock.set(OVER)
        until(lambda: said(agent)["hours_told"] == 4)
        asked = len(service.told)
        assert said(agent)["problem"].startswith("invalid_totals")
        turns(agent, clock)
        assert len(service.told) == asked, "it is not asked again and again"
    assert agent.counts.of("cross_checks", "refused") == 1


def test_an_answer_about_an_hour_that_has_changed_meanwhile_is_passed_over(
    service: FakeService, tmp_path: Path
) -> None:
    with checked(service, tmp_path, own(1)) as (agent, clock):

        def compare(told: dict[str, Any]) -> Reply:
            if len(service.told) > 1:
                return agreed(told)
            deliver(agent, own(2))
            return agreed(told, DIFFERENCE)

        service.compare = compare
        clock.set(OVER)
        until(lambda: said(agent)["hours_told"] == 1)
        turns(agent, clock)
    assert told_input(service) == [1, 3]


def test_it_can_be_switched_off(service: FakeService, tmp_path: Path) -> None:
    with checked(service, tmp_path, own(1), cross_check=False) as (agent, clock):
        clock.set(OVER)
        until(lambda: agent.counts.state()["state"] == "idle")
        assert "cross_check" not in agent.counts.state()
    assert service.told == []


def test_input_includes_cached_input_in_all_totals() -> None:
    data = {"model": "m", "mode": "batch"}
    apart = {"input_tokens": 5, "cached_input_tokens": 8, "images": 2}
    (sums,) = totals_of([
        own(1, data={**data, "input_tokens": 10, "cached_input_tokens": 4}),
        own(2, type="inference.usage", data={**data, "quantities": apart}),
    ]).values()  # fmt: skip
    assert sums == {"events": 2, "input_tokens": 23, "cached_input_tokens": 12, "images": 2}
