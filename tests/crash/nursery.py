"""A process that stands ready with Django loaded and forks the processes that are put to work.

`python -m tests.crash.nursery MODULE` takes the works from the dictionary WORKS of a module, reads
an order a line and answers each with a line, once all its processes have ended. A fork is a real
process with connections and caches of its own, and costs a hundredth of a second where a new
interpreter would cost one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

LONGEST_SECONDS = 240
Work = Callable[[], Any]
Works = Mapping[str, Work]


@dataclass(frozen=True)
class Order:
    """Processes to run at once in one database, each with the works that it does in turn."""

    database: str
    processes: list[list[str]]
    stripe: str = ""
    die_at: int = 0  # The moment at which each is cut off; 0: never.
    kill: int = -1  # Which process is killed from outside,
    kill_after: int = 0  # once it has passed so many moments.


@dataclass(frozen=True)
class Outcome:
    """How each process ended, the moments that it passed, and what its works answered."""

    exits: list[int]
    moments: list[list[str]]
    answers: list[list[Any]]
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Carry out orders until there are no more."""
    import django

    django.setup()
    works = import_module(sys.argv[1]).WORKS  # Loads the services once, for all forks.
    for line in sys.stdin:
        outcome = carry_out(Order(**json.loads(line)), works)
        print(json.dumps(asdict(outcome)), flush=True)


def carry_out(order: Order, works: Works) -> Outcome:
    """Fork the processes, let them start together, wait for all."""
    with tempfile.TemporaryDirectory(prefix="ledger-nursery-") as home:
        directory = Path(home)
        waiting, gate = os.pipe()
        pids = []
        for number, names in enumerate(order.processes):
            pid = os.fork()
            if pid == 0:
                os.close(gate)
                todo = [works[name] for name in names]
                _child(order, todo, directory / str(number), waiting)
            pids.append(pid)
        os.close(waiting)
        os.close(gate)  # They all read until its end: now.
        exits = _wait(order, pids, directory)
        return Outcome(
            exits,
            [_lines(directory / f"{number}.moments") for number in range(len(pids))],
            [
                [json.loads(line) for line in _lines(directory / f"{number}.answers")]
                for number in range(len(pids))
            ],
            ["\n".join(_lines(path)) for path in sorted(directory.glob("*.error"))],
        )


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _wait(order: Order, pids: list[int], directory: Path) -> list[int]:
    exits: dict[int, int] = {}
    deadline = time.monotonic() + LONGEST_SECONDS
    to_kill = pids[order.kill] if order.kill >= 0 else 0
    while len(exits) < len(pids):
        alone = len(pids) == 1
        pid, status = os.waitpid(
            pids[0] if alone else 0, 0 if alone and not to_kill else os.WNOHANG
        )
        if pid:
            exits[pid] = os.waitstatus_to_exitcode(status)
            continue
        if to_kill in exits:
            to_kill = 0
        if to_kill and len(_lines(directory / f"{order.kill}.moments")) >= order.kill_after:
            os.kill(to_kill, signal.SIGKILL)
            to_kill = 0
        if time.monotonic() > deadline:
            for late in set(pids) - set(exits):
                os.kill(late, signal.SIGKILL)
        time.sleep(0.002)
    return [exits[pid] for pid in pids]


def _child(order: Order, todo: list[Work], files: Path, waiting: int) -> None:
    """The life of one process. It never returns."""
    status = 1
    try:
        from tests.crash import moments

        _move_into(order)
        moments.install(f"{files}.moments", order.die_at)
        os.read(waiting, 1)
        with open(f"{files}.answers", "w") as answers:
            for work in todo:
                print(json.dumps(work(), default=str), file=answers)
        status = 0
    except BaseException:
        Path(f"{files}.error").write_text(traceback.format_exc())
    finally:
        os._exit(status)


def _move_into(order: Order) -> None:
    """Let this process work in that database, and speak to that Stripe."""
    from django.conf import settings
    from django.db import connection

    connection.settings_dict["NAME"] = order.database
    settings.STRIPE_API_KEY = "sk_test_simulator" if order.stripe else ""
    settings.STRIPE_API_BASE = order.stripe


if __name__ == "__main__":
    main()
