"""Agents against the real service: exactly once, as GET usage tells it."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from metering.agent.settings import Settings
from tests.agent.running import SetClock, a_process, an_agent, letters, settings, until
from tests.agent.samples import CHAT, LITELLM, OTLP, own
from tests.demo.trace import TracedRequest, read_trace
from tests.faults.proxy import Proxy
from tests.scenarios import story
from tests.scenarios.world import World, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
TRACE = Path(__file__).parents[1] / "data" / "azure_llm_inference_2023_conv.csv"
DAY_SECONDS = 86_400
MODEL = CHAT["model"]
# The trace's hour of November 2023 moves into the contracts' first quarter.
LATER = timedelta(days=803)
HURRY = 6_000  # A day in 14.4 s.


@pytest.fixture(scope="module", autouse=True)
def contracts(world: World) -> None:
    """Two customers under contract since January; now it is February."""
    world.set_clock(story.SIGNING)
    for model in ("llama-3.3-70b", CHAT["model"]):
        for meter in ("input_tokens", "cached_input_tokens", "output_tokens"):
            world.ada.post("/prices", {
                "model": model, "mode": "serverless", "meter": meter, "price": "1.00",
                "effective_at": "2020-01-01T00:00:00Z",
            })  # fmt: skip
    for key in ("acme", "azure"):
        story.add_customer(world, key)
        story.sign(world, customer=key)
    world.set_clock("2026-02-04T00:00:00Z")


def with_key(made: Settings, world: World) -> Settings:
    Path(made.key_file).write_text(world.key("--kind", "agent"))
    return made


def counted(world: World, key: str) -> dict[str, int]:
    rows = world.ada.get(f"/customers/{key}/usage?group_by=meter")["results"]
    return {row["meter"]: int(row["quantity"]) for row in rows if int(row["quantity"])}


def state_of(made: Settings) -> dict[str, Any]:
    path = made.state_dir / "state.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def test_every_form_is_counted_once(world: World, tmp_path: Path) -> None:
    path = tmp_path / "usage.jsonl"
    made = with_key(settings(world.url, tmp_path, files=[str(path)], listen=""), world)
    litellm = {**LITELLM, "metadata": {**LITELLM["metadata"], "customer": "acme"}}
    stranger = {**CHAT, "id": "chatcmpl-x", "metadata": {"customer": "zoe"}}
    records = [own(7), CHAT, litellm, OTLP, stranger, own(7)]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    with an_agent(made) as agent:
        until(lambda: agent.counts.of("dead_letters") == 1)
        until(lambda: agent.counts.gauge("undelivered_events") == 0)
    assert counted(world, "acme") == {
        "input_tokens": 7 + 2006 - 1920 + 1200 - 800 + 811 - 640,
        "cached_input_tokens": 1920 + 800 + 640,
        "output_tokens": 1 + 300 + 150 + 92,
    }
    (letter,) = letters(made)
    assert (letter["code"], letter["event"]["subject"]) == ("unknown_customer", "zoe")


def test_the_totals_of_an_hour_are_held_against_the_ledgers(world: World, tmp_path: Path) -> None:
    path, clock = tmp_path / "usage.jsonl", SetClock("2026-02-03T17:50:00Z")
    made = with_key(
        settings(world.url, tmp_path, files=[str(path)], listen="", cross_check_seconds=0.2), world
    )
    moment = "2026-02-03T18:10:00Z"
    data = {"model": MODEL, "mode": "serverless"}
    usage = {"input_tokens": 20, "cached_input_tokens": 30, "output_tokens": 4}
    records = [
        own(900_001, time=moment, data={**data, "input_tokens": 50, "cached_input_tokens": 20,
                                       "output_tokens": 9, "reasoning_tokens": 3}),
        own(900_002, time=moment, type="inference.usage", data={**data, "quantities": usage}),
        own(900_003, time=moment, type="inference.gpu", data={
            "sku": "h100", "mode": "dedicated", "gpu_seconds": 7, "busy_gpu_seconds": 6}),
    ]  # fmt: skip
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    with an_agent(made, clock) as agent:
        until(lambda: agent.counts.of("delivered") == 3)
        clock.set("2026-02-03T19:11:00Z")
        until(lambda: agent.counts.state()["cross_check"]["hours_told"] == 1)
        time.sleep(1.0)
        assert agent.counts.of("cross_checks") == 1, "nothing differs, so it is not asked again"
        world.agent.post("/usage", [own(900_004, time=moment, data={**data, "input_tokens": 1})])
        # Nobody tells the agent of that; it asks again when it has more of this hour.
        path.write_text(path.read_text() + json.dumps({**records[0], "id": "more"}) + "\n")
        until(lambda: agent.counts.gauge("cross_check_differences") == 1)
        (found,) = agent.counts.state()["cross_check"]["differences"]
    assert (found["meter"], found["reported"], found["stored"]) == ("input_tokens", 80, 81)


def as_record(one: TracedRequest) -> dict[str, Any]:
    """A request of the trace as one of two gateways logs it."""
    usage = {"prompt_tokens": one.input_tokens, "completion_tokens": one.output_tokens}
    seconds = one.arrived_at.timestamp()
    if one.number % 2:
        answer = {"id": f"chatcmpl-{one.number}", "model": MODEL, "usage": usage}
        return {"customer": "azure", "time": one.arrived_at.isoformat(), "response": answer}
    return {
        "id": f"litellm-{one.number}", "call_type": "acompletion", "model": MODEL,
        "model_group": MODEL, "response_cost": 0.01, "status": "success", "endTime": seconds,
        "metadata": {"customer": "azure"}, **usage,
    }  # fmt: skip


@contextmanager
def a_gateway(path: Path, trace: list[TracedRequest], seconds: float) -> Iterator[threading.Thread]:
    """Writes the whole trace to its log within so many seconds, rotating it in both ways."""

    def write() -> None:
        began = time.monotonic()
        for start in range(0, len(trace), 50):
            with path.open("a") as log:
                log.writelines(
                    json.dumps(as_record(one)) + "\n" for one in trace[start : start + 50]
                )
            turn = start // 1_000
            if start % 1_000 == 950:
                older = path.with_name(f"{path.name}.{turn}")
                if turn % 2:
                    path.rename(older)
                else:
                    shutil.copyfile(path, older)
                    os.truncate(path, 0)
            time.sleep(max(0.0, began + seconds * start / len(trace) - time.monotonic()))

    thread = threading.Thread(target=write)
    thread.start()
    yield thread
    thread.join()


def test_the_whole_trace_through_rotation_kill_9_and_a_day_without_the_service(
    world: World, tmp_path: Path
) -> None:
    trace = [replace(one, arrived_at=one.arrived_at + LATER) for one in read_trace(TRACE)]
    assert len(trace) == 19_366
    port, path = free_port(), tmp_path / "usage.jsonl"
    made = settings(
        f"http://127.0.0.1:{port}", tmp_path, files=[str(path)], listen="",
        # By the agent's own clock, on which each of these seconds is a six thousandth.
        backoff_first_seconds=1.0, backoff_most_seconds=300.0, batch_seconds=60.0,
        poll_seconds=120.0, stop_seconds=60_000.0,
    )  # fmt: skip
    agent = a_process(with_key(made, world), tmp_path, "tests.agent.hurried")
    agent.environment |= {"HURRIED_FROM": str(time.time()), "HURRIED_BY": str(HURRY)}
    rng = random.Random(19_366)  # noqa: S311 - for when to kill
    down_until = time.monotonic() + DAY_SECONDS / HURRY
    agent.start()
    with a_gateway(path, trace, seconds=12.0) as gateway:
        while gateway.is_alive() or time.monotonic() < down_until:
            time.sleep(rng.uniform(1.0, 2.5))
            agent.kill()
            agent.start()
    until(lambda: "oldest_undelivered_seconds" in state_of(made))
    until(lambda: state_of(made)["oldest_undelivered_seconds"] > DAY_SECONDS * 0.8)
    with _service_on(port, world):
        for _ in range(3):
            time.sleep(0.5)
            agent.kill()
            agent.start()
        until(lambda: state_of(made).get("state") == "idle", 120)
        until(lambda: state_of(made).get("undelivered_events") == 0, 60)
        assert agent.stop() == 0, agent.said()[-2000:]
    assert letters(made) == []
    assert counted(world, "azure") == {
        "input_tokens": sum(one.input_tokens for one in trace),
        "output_tokens": sum(one.output_tokens for one in trace),
    }
    api = world.agent
    events = [_event(one) for one in trace]
    for start in range(0, len(events), 5_000):
        told = api.post("/usage", events[start : start + 5_000])
        assert told["accepted"] == 0 and told["refused"] == [], "each was there already"


def _event(one: TracedRequest) -> dict[str, Any]:
    """What each request of the trace must have become."""
    return {
        "specversion": "1.0", "source": "metering-agent", "subject": "azure",
        "id": f"{'chatcmpl' if one.number % 2 else 'litellm'}-{one.number}",
        "time": one.arrived_at.isoformat(), "type": "inference.tokens",
        "data": {"model": MODEL, "mode": "serverless", "input_tokens": one.input_tokens,
                 "output_tokens": one.output_tokens},
    }  # fmt: skip


@contextmanager
def _service_on(port: int, world: World) -> Iterator[None]:
    """The service comes back where the agent looks for it."""
    upstream = urlsplit(world.url)
    proxy = Proxy((str(upstream.hostname), int(upstream.port or 0)), ill=0.3, seed=1, port=port)
    try:
        yield
    finally:
        proxy.close()
