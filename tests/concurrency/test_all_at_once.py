"""Eight processes report, draw down, true up, approve, close and push the same things at once.

Whatever order they happen to come in, the figures are those of one process that does it all once.
No service may let a lost deadlock reach its caller.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.concurrency.conftest import WORKS
from tests.concurrency.rest import settled
from tests.crash.harness import Nursery, World

pytestmark = pytest.mark.slow
PROCESSES = 8
CLOSES = {1: "close_as_runner", 2: "lend_a_hand", 5: "lend_a_hand"}


def crews() -> list[list[str]]:
    """Each process does everything twice, from a place of its own on; every other one reports
    the batches backwards. One closes as the daily jobs' runner does, two lend it a hand."""
    crews = []
    for number in range(PROCESSES):
        start = number % len(WORKS)
        works = [*WORKS[start:], *WORKS[:start]] * 2
        instead = {"report": "report_backwards"} if number % 2 else {}
        instead |= {"close": CLOSES.get(number, "close")}
        crews.append([instead.get(work, work) for work in works])
    return crews


def test_eight_processes(
    nursery: Nursery, signed: World, serial: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with nursery.place(signed) as place:
        outcome = place.run_at_once(crews())
        assert outcome.exits == [0] * PROCESSES, "\n".join(outcome.errors)
        new = sum(
            answer
            for crew, answers in zip(crews(), outcome.answers, strict=True)
            for work, answer in zip(crew, answers, strict=True)
            if work.startswith("report")
        )
        assert new == serial["events"]
        retried = place.run("deadlocks").answers[0][0]
        assert settled(place) == serial
    with capsys.disabled():
        print(f"\neight at once: {retried} deadlocks, each tried again")


@pytest.mark.parametrize(("victim", "moments"), [(0, 3), (1, 30), (4, 9), (5, 25)])
def test_one_of_them_is_killed(
    nursery: Nursery, signed: World, serial: dict[str, Any], victim: int, moments: int
) -> None:
    """kill -9, whatever it is doing; the others go on, and someone finishes what it had begun."""
    with nursery.place(signed) as place:
        outcome = place.run_at_once(crews(), kill=victim, kill_after=moments)
        assert outcome.exits[victim] == -9
        survivors = [code for number, code in enumerate(outcome.exits) if number != victim]
        assert survivors == [0] * (PROCESSES - 1), "\n".join(outcome.errors)
        assert settled(place) == serial
