"""The same batch from two processes at once: every event counts once."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.demo.client import ApiClient
from tests.scenarios.story import open_books, quarters, sign, spread
from tests.scenarios.world import World

pytestmark = pytest.mark.slow


def submit(url: str, key: str, batch: list[dict[str, Any]], at: float) -> list[int]:
    """Post the batch at a real instant; [status, accepted, duplicates]."""
    api = ApiClient(url, key)
    body = json.dumps(batch).encode()
    time.sleep(max(0.0, at - time.time()))
    status, answer, _ = api.exchange("POST", "/usage", body)
    return [status, answer["accepted"], answer["duplicates"]]


def test_each_event_counts_once(world: World) -> None:
    open_books(world)
    commit = sign(world)
    world.set_clock("2026-03-31T00:00:00Z")
    events = [one.event() for one in spread("2026-01-01", "2026-03-30", "20000", pieces=2000)]
    key = world.key("--kind", "agent")
    rounds = 5
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        list(processes.map(abs, range(2)))  # both are up
        for number in range(rounds):
            batch = events[number * 400 : (number + 1) * 400]
            # The other one reports them in the other order: locks must not cross.
            at = time.time() + 0.3
            jobs = [
                processes.submit(submit, world.url, key, order, at)
                for order in (batch, batch[::-1])
            ]
            answers = [job.result(60) for job in jobs]
            assert [answer[0] for answer in answers] == [200, 200]
            assert sum(answer[1] for answer in answers) == 400, answers
            assert sum(answer[2] for answer in answers) == 400, answers
    assert Decimal(quarters(world, commit)[0]["used"]) == 20000
    assert world.row_counts()["metering_eventkey"] == 2000
    world.manage("check_ledger")
