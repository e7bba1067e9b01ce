"""A world of its own for one story: a database, the web part in a process, Stripe simulated.

Time passes by POST /sandbox/clock, which runs the same jobs as beat and worker do at midnight. A
real worker takes what the web part sends it (webhooks, invoices on their way); there is no beat.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.demo.client import ApiClient
from tests.demo.service import last_line
from tests.scenarios import databases
from tests.stripe_simulator.simulator import StripeSimulator

ROOT = Path(__file__).parents[2]
SECRET = "whsec_scenarios"
READY_SECONDS = 120.0
WEB = ("-m", "gunicorn", "-c", "python:billing.config.gunicorn")
WORKER = (
    "-m", "celery", "-A", "billing.config.celery", "worker", "--pool", "solo",
    "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING",
)  # fmt: skip


@dataclass
class World:
    """One running service that nobody else uses, and the keys to it."""

    url: str
    database_url: str
    stripe: StripeSimulator
    environment: dict[str, str]
    logs: Path
    _worker: subprocess.Popen[str] | None = None
    _clients: dict[str, ApiClient] = field(default_factory=dict)

    @property
    def ada(self) -> ApiClient:
        """A controller."""
        return self.finance("ada")

    @property
    def ben(self) -> ApiClient:
        """Another controller."""
        return self.finance("ben")

    @property
    def agent(self) -> ApiClient:
        """A key that may only post usage."""
        return self._client("agent", "--kind", "agent")

    def finance(self, name: str) -> ApiClient:
        """A client with the key of a finance user."""
        return self._client(name, "--kind", "finance", "--user", name)

    def customer(self, key: str) -> ApiClient:
        """A client with the key of a customer."""
        return self._client(f"customer {key}", "--kind", "customer", "--customer", key)

    def _client(self, name: str, *arguments: str) -> ApiClient:
        if name not in self._clients:
            self._clients[name] = ApiClient(self.url, self.key(*arguments))
        return self._clients[name]

    def key(self, *arguments: str) -> str:
        """A new API key."""
        return last_line(self.manage("create_api_key", *arguments))

    def manage(self, *arguments: str) -> str:
        """Run a management command; what it printed."""
        done = self.start("manage.py", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        printed, complaints = done.communicate(timeout=240)
        assert done.returncode == 0, (arguments, printed, complaints)
        return str(printed)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start Python in this world's environment."""
        return subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=self.environment, text=True, **options
        )

    def start_worker(self) -> None:
        """Start the worker; it ends with the world, or when it is stopped."""
        with (self.logs / "worker.log").open("a") as log:
            self._worker = self.start(*WORKER, stderr=log, stdout=subprocess.DEVNULL)

    def stop_worker(self) -> None:
        """End the worker."""
        if self._worker is not None:
            end(self._worker)
            self._worker = None

    def set_clock(self, now: str) -> None:
        """Let time pass until an instant, with everything that happens by itself."""
        self.ada.post("/sandbox/clock", {"now": now})

    def row_counts(self) -> dict[str, int]:
        """How many rows each table holds."""
        return databases.row_counts(self.database_url)

    def wait_until_paid(self, customer: str, seconds: float = 120) -> None:
        """Wait until the webhooks have come back and every invoice is paid."""
        deadline = time.monotonic() + seconds
        while True:
            invoices = list(self.ada.listed(f"/customers/{customer}/invoices"))
            if all(invoice["state"] == "paid" for invoice in invoices):
                return
            assert time.monotonic() < deadline, [(i["number"], i["state"]) for i in invoices]
            time.sleep(0.2)

    def settle(self, customer: str) -> None:
        """Wait until nothing is on its way between Stripe and us any more."""
        self.wait_until_paid(customer)
        self.stripe.wait_for_deliveries()
        deadline = time.monotonic() + 120
        while databases.waiting_webhooks(self.database_url):
            assert time.monotonic() < deadline, "webhooks are not applied"
            time.sleep(0.1)


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def a_world(template: str, name: str, logs: Path) -> Iterator[World]:
    """A world made from the template; gone afterwards."""
    with ExitStack() as resources:
        database_url = resources.enter_context(databases.copy_of(template, name))
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        stripe = resources.enter_context(
            StripeSimulator(
                webhook_url=f"{url}/api/v1/webhooks/stripe", webhook_secret=SECRET, auto_pay=True
            )
        )
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "billing.config.settings",
            "DATABASE_URL": database_url,
            "PORT": str(port),
            "WEB_WORKERS": "1",
            "SANDBOX": "1",
            "CELERY_BROKER_URL": "pgmq://",
            "STRIPE_API_KEY": "sk_test_simulator",
            "STRIPE_API_BASE": stripe.url,
            "STRIPE_WEBHOOK_SECRET": SECRET,
        }
        world = World(url, database_url, stripe, environment, logs)
        with (logs / "web.log").open("w") as log:
            web = world.start(*WEB, stderr=log, stdout=subprocess.DEVNULL)
        resources.callback(end, web)
        resources.callback(world.stop_worker)
        world.start_worker()
        _wait_until_it_answers(url, web, logs / "web.log")
        yield world


def end(process: subprocess.Popen[str]) -> None:
    """Ask a process to end at once (so do gunicorn and Celery read it); kill it if it does not."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_until_it_answers(url: str, web: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert time.monotonic() < deadline and web.poll() is None, log.read_text()[-3000:]
            time.sleep(0.1)
