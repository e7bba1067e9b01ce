"""Agents to test: inside of this process, or as real processes that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from metering.agent.agent import Agent
from metering.agent.clock import Clock
from metering.agent.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
KEY = "key-of-the-tests"
# Everything quick, so that what takes minutes takes tenths of a second.
QUICK: dict[str, Any] = {
    "batch_seconds": 0.02, "poll_seconds": 0.02, "backoff_first_seconds": 0.02,
    "backoff_most_seconds": 0.1, "denied_seconds": 0.1, "timeout_seconds": 5.0, "stop_seconds": 3.0,
}  # fmt: skip


def settings(server: str, home: Path, **given: Any) -> Settings:
    """Quick settings for an agent whose key is KEY."""
    key_file = home / "key"
    home.mkdir(parents=True, exist_ok=True)
    key_file.write_text(KEY + "\n")
    told = {"server": server, "state_dir": home / "state", "key_file": str(key_file)}
    rules = given.pop("rules", None)
    given.setdefault("listen", "127.0.0.1:0")
    made = read_settings(None, {**QUICK, **told, **given})
    return made if rules is None else _with_rules(made, rules)


def _with_rules(made: Settings, rules: Any) -> Settings:
    from dataclasses import replace

    return replace(made, rules=rules)


@contextmanager
def an_agent(made: Settings, clock: Clock | None = None) -> Iterator[Agent]:
    """One that runs in threads of this process, until the block ends."""
    agent = Agent(made, clock)
    thread = threading.Thread(target=agent.run, daemon=True)
    thread.start()
    try:
        if made.listen or made.status:
            until(lambda: bool(agent.ports))
        yield agent
    finally:
        agent.stop.set()
        thread.join(30)
        agent.close()


class SetClock(Clock):
    """A clock that shows an instant of 2026 and goes on from there; it can be set ahead."""

    def __init__(self, text: str) -> None:
        self.set(text)

    def set(self, text: str) -> None:
        self._ahead = datetime.fromisoformat(text).timestamp() - time.time()

    def now(self) -> float:
        return time.time() + self._ahead


def until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until something is so; fails if it does not come to be."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


def letters(made: Settings) -> list[dict[str, Any]]:
    """The dead letters of an agent."""
    path = made.state_dir / "dead-letters.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


STARTED: list[subprocess.Popen[bytes]] = []  # All that were; conftest.py ends what is left over.


@dataclass
class Process:
    """`python -m metering.agent` in a process of its own."""

    command: list[str]
    environment: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] | None = None

    def start(self, stdin: Any = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """Start it, or start it again."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.command, cwd=ROOT, env=self.environment, stdin=stdin, stderr=log
            )
        STARTED.append(self.child)
        return self.child

    def kill(self) -> None:
        """kill -9."""
        if self.child:
            self.child.kill()
            self.child.wait(10)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; the exit status."""
        assert self.child
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(seconds)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


def a_process(made: Settings, home: Path, module: str = "metering.agent") -> Process:
    """An agent's process with these settings, of those that a file can tell."""
    config = home / "agent.toml"
    told = {name: getattr(made, name) for name in Settings.__slots__ if name != "rules"}
    config.write_text(
        "".join(
            f"{name} = {json.dumps(str(one) if isinstance(one, Path) else one)}\n"
            for name, one in told.items()
        )
    )
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", module, "--config", str(config)]
    return Process(command, environment, home / "agent.log")
