"""Kills parts of a running service and agents with SIGKILL, at random, and lets them come back."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import psutil

from billing.config.launcher import postgres
from billing.config.launcher.cluster import locate
from tests.agent.running import Process
from tests.demo.service import Service

# How often each is the victim, of all kills.
VICTIMS = {"web_worker": 8, "web_master": 1, "backend": 4, "postmaster": 2, "agent": 4}


class Killer:
    """A thread that kills something every now and then, until told to stop."""

    def __init__(
        self, service: Service, agents: Sequence[Process], *, pause: tuple[float, float], seed: int
    ) -> None:
        self._service, self._agents, self._pause = service, agents, pause
        self._rng = random.Random(seed)  # noqa: S311 - for whom to kill
        self.kills: Counter[str] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._cluster = locate(service.data_dir)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """No more kills; everything that was killed has been started again."""
        self._ended.set()
        self._thread.join(120)
        self._start_postgres()

    def _live(self) -> None:
        kill: dict[str, Callable[[], bool]] = {
            "web_worker": self._kill_web_worker, "web_master": self._kill_web_master,
            "backend": self._kill_backend, "postmaster": self._kill_postmaster,
            "agent": self._kill_agent,
        }  # fmt: skip
        due = self._rng.sample(list(VICTIMS), len(VICTIMS))  # Each once, then as it comes.
        while not self._ended.wait(self._rng.uniform(*self._pause)):
            victim = self._rng.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            victim = due.pop() if due else victim
            with contextlib.suppress(psutil.NoSuchProcess):
                self.kills[victim] += kill[victim]()

    def _web_master(self) -> psutil.Process | None:
        for child in psutil.Process(self._service.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                if "gunicorn" in " ".join(child.cmdline()):
                    return child
        return None

    def _kill_web_worker(self) -> bool:
        master = self._web_master()
        workers = master.children() if master else []
        if workers:
            self._rng.choice(workers).kill()
        return bool(workers)

    def _kill_web_master(self) -> bool:
        master = self._web_master()
        if master:
            master.kill()
        return bool(master)

    def _postmaster(self) -> psutil.Process:
        pid = (self._cluster.directory / "postmaster.pid").read_text().split()[0]
        return psutil.Process(int(pid))

    def _kill_backend(self) -> bool:
        """One server process of a client: PostgreSQL ends all others and recovers."""
        try:
            children = self._postmaster().children()
        except OSError:
            return False
        backends = [one for one in children if "postgres: postgres ledger" in _title(one)]
        if backends:
            self._rng.choice(backends).kill()
        return bool(backends)

    def _kill_postmaster(self) -> bool:
        try:
            self._postmaster().kill()
        except OSError:
            return False
        self._ended.wait(self._rng.uniform(0.5, 3))
        self._start_postgres()
        return True

    def _start_postgres(self) -> None:
        """The launcher of the service uses the server too, so leaving the block stops nothing."""
        with postgres.running(self._service.data_dir):
            pass

    def _kill_agent(self) -> bool:
        agent = self._rng.choice(self._agents)
        agent.kill()
        self._ended.wait(self._rng.uniform(0, 1))
        agent.start()
        return True


def _title(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return " ".join(process.cmdline())
    return ""
