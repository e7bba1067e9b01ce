"""One run of faults: two agents, a failing network, a service whose parts are killed; then the sum.

After the given time everything is let be; the agents must then deliver all they have, and the
ledger must hold each event once and the money of an independent sum.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from billing.config.launcher import files, postgres
from metering.agent.delivered import Delivered
from metering.agent.settings import Settings, read_settings
from tests.agent.running import Process, a_process, letters
from tests.demo.service import running
from tests.faults.killing import Killer
from tests.faults.ledger import Ledger
from tests.faults.load import Feeder, LogFile, Poster
from tests.faults.proxy import Proxy
from tests.scenarios.world import free_port

DELIVERY_SECONDS = 240.0
PER_SECOND = 100.0  # Each of the two gateways.
FIRST_OF_PORT = 10_000_000


@dataclass
class Outcome:
    """What a run came to; `differences` in words, none if all is right."""

    seconds: float = 0.0
    seed: int = 0
    events: int = 0
    delivered_seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    rotations: int = 0
    posts_repeated: int = 0
    dead_letters: int = 0
    # By how many the agents' totals for the cross-check are off: a post repeated across a kill of
    # its agent may be counted twice there.
    totals_off: dict[str, int] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """For the last line."""
        return asdict(self)


@dataclass
class Gateway:
    """An agent's process, its settings, and what feeds it."""

    agent: Process
    settings: Settings
    feeder: Feeder

    @classmethod
    def made(cls, home: Path, server: str, key: str, feeder: Feeder, **given: Any) -> Gateway:
        """With short pauses: many requests meet many fates."""
        home.mkdir()
        (home / "key").write_text(key)
        told = {
            "server": server, "state_dir": home / "state", "key_file": str(home / "key"),
            "batch_events": 200, "batch_seconds": 0.3, "poll_seconds": 0.2, "segment_bytes": 2**18,
            "backoff_first_seconds": 0.1, "backoff_most_seconds": 2.0, "timeout_seconds": 8.0,
        }  # fmt: skip
        settings = read_settings(None, {**told, **given})
        return cls(a_process(settings, home), settings, feeder)

    def is_done(self) -> bool:
        """Whether its agent says that it has read and delivered everything."""
        try:
            state = json.loads((self.settings.state_dir / "state.json").read_text())
        except (OSError, ValueError):
            return False
        return state.get("undelivered_events") == 0 and not state.get("unread_bytes", 0)

    def totals(self) -> int:
        """How many events its agent has counted as delivered."""
        delivered = Delivered(self.settings.state_dir / "delivered.log")
        try:
            return sum(row["events"] for row in delivered.rows())
        finally:
            delivered.close()


def run(home: Path, seconds: float, seed: int, *, pause: tuple[float, float]) -> Outcome:
    """Run for so long; `pause` is the shortest and the longest time between two kills."""
    outcome = Outcome(seconds=seconds, seed=seed)
    data_dir = home / "data"
    files.prepare(data_dir)
    with ExitStack() as resources:
        resources.enter_context(_without("DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY"))
        resources.callback(postgres.remove, data_dir)
        service = resources.enter_context(running(data_dir, free_port()))
        ledger = Ledger.opened(service)
        proxy = Proxy(("127.0.0.1", service.port), ill=0.9, seed=seed)
        resources.callback(proxy.close)
        server, port = f"http://127.0.0.1:{proxy.port}", free_port()
        log, poster = LogFile(home / "file" / "usage.jsonl", 1_500), Poster(port)
        gateways = [
            Gateway.made(
                home / "file", server, ledger.agent_key, Feeder(0, PER_SECOND, log.feed),
                files=[str(log.path)],
            ),
            Gateway.made(
                home / "port", server, ledger.agent_key,
                Feeder(FIRST_OF_PORT, PER_SECOND, poster.feed), listen=f"127.0.0.1:{port}",
            ),
        ]  # fmt: skip
        for gateway in gateways:
            gateway.agent.start()
            resources.callback(gateway.agent.kill)
            gateway.feeder.start()
        killer = Killer(service, [one.agent for one in gateways], pause=pause, seed=seed)
        killer.start()
        time.sleep(seconds)
        killer.stop()
        for gateway in gateways:
            gateway.feeder.stop()
        _settle(outcome, gateways, proxy)
        numbers = [number for one in gateways for number in one.feeder.numbers()]
        outcome.events = len(numbers)
        outcome.differences += ledger.differences(numbers)
        outcome.kills, outcome.connections = dict(killer.kills), dict(proxy.fates)
        outcome.rotations, outcome.posts_repeated = log.rotations, poster.repeats
    return outcome


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """A service with a database of its own, whatever one the test run has: it is killed."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _settle(outcome: Outcome, gateways: list[Gateway], proxy: Proxy) -> None:
    """Let the network and the service be, until the agents have nothing left; then stop them."""
    proxy.ill = 0.0
    began = time.monotonic()
    while not all(gateway.is_done() for gateway in gateways):
        if time.monotonic() - began > DELIVERY_SECONDS:
            outcome.differences.append("the agents do not come to an end")
            break
        time.sleep(0.5)
    outcome.delivered_seconds = round(time.monotonic() - began, 1)
    for gateway in gateways:
        status = gateway.agent.stop()
        if status:
            outcome.differences.append(
                f"an agent ended with {status}: {gateway.agent.said()[-800:]}"
            )
        outcome.dead_letters += len(letters(gateway.settings))
        name = "files" if gateway.settings.files else "port"
        outcome.totals_off[name] = gateway.totals() - len(gateway.feeder.numbers())
