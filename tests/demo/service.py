"""Runs the service that the demo shows: the launcher of `make serve` in a process of its own, and
management commands against the same data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from billing.config.launcher.environment import SERVICE_STATE

ROOT = Path(__file__).parents[2]
READY_SECONDS = 150.0
STOP_SECONDS = 60.0
LOG = "demo.log"
# A rehearsal speaks to the simulator alone, whatever the machine is set to.
NOT_HANDED_ON = ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRET", "PUBLIC_URL")


class ServiceFailed(Exception):
    """The service or a command did not do its part; the message holds the end of its log."""


@dataclass
class Service:
    """A running service: its address, its data and the environment of its commands."""

    port: int
    data_dir: Path
    environment: dict[str, str]
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def manage(self, *arguments: str) -> str:
        """Run a management command; what it printed."""
        return self.python("manage.py", *arguments)

    def python(self, *arguments: str, text: str = "") -> str:
        """Run Python with the service's environment; what it printed. Raises ServiceFailed."""
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, input=text,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        if done.returncode:
            told = (done.stdout + done.stderr)[-2000:]
            raise ServiceFailed(f"{' '.join(arguments[:2])} failed:\n{told}")
        return done.stdout

    def state(self) -> dict[str, Any]:
        """What the launcher tells `make manage` about itself."""
        state: dict[str, Any] = json.loads((self.data_dir / SERVICE_STATE).read_text())
        return state

    def control_simulator(self, what: str, body: dict[str, Any]) -> None:
        """Set a mode of the Stripe simulator (tests/stripe_simulator/control.py)."""
        base = self.state()["environment"]["STRIPE_API_BASE"]
        request = urllib.request.Request(  # noqa: S310 - the launcher's own loopback address
            f"{base}/_control/{what}", json.dumps(body).encode(), method="POST",
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass


def choose_port() -> int:
    """PORT; without one 8000, or any free port where 8000 is taken."""
    given = os.environ.get("PORT", "").strip()
    if given:
        return int(given) if given.isdigit() else 0  # The launcher refuses it with words.
    for wanted in (8000, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", wanted))
            return int(probe.getsockname()[1])
    return 8000


@contextmanager
def running(data_dir: Path, port: int) -> Iterator[Service]:
    """The service on that data, from its `ready` until the block ends. Raises ServiceFailed."""
    environment = {
        **{name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON},
        "DATA_DIR": str(data_dir), "PORT": str(port), "SANDBOX": "1",
    }  # fmt: skip
    with (data_dir / LOG).open("a") as log:
        # A session of its own: Ctrl-C reaches the demo, which then stops the service in order.
        process = subprocess.Popen(
            [sys.executable, "-m", "billing.config.launcher", "serve"], cwd=ROOT,
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            text=True, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for_ready(process, data_dir)
        yield Service(port, data_dir, environment, process)
    finally:
        _stop(process)


def _wait_for_ready(process: subprocess.Popen[str], data_dir: Path) -> None:
    said: list[str] = []
    # readline() cannot be given a time limit, so it waits in a thread.
    reader = threading.Thread(target=_read_until_ready, args=(process, said), daemon=True)
    reader.start()
    reader.join(READY_SECONDS)
    if "ready" not in said:
        raise ServiceFailed(f"the service did not start:\n{log_tail(data_dir)}")


def _read_until_ready(process: subprocess.Popen[str], said: list[str]) -> None:
    for line in process.stdout or ():
        said.append(line.strip())
        if said[-1] == "ready":
            return


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(data_dir: Path, lines: int = 25) -> str:
    """The end of what the service logged."""
    try:
        return "\n".join((data_dir / LOG).read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def last_line(printed: str) -> str:
    """The last line of what a command printed: where it puts its result."""
    lines: Sequence[str] = printed.strip().splitlines()
    return lines[-1] if lines else ""
