"""`make serve`, told from outside: it gets ready, heals, refuses a twin, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from billing.config.launcher import postgres

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


class Service:
    """One running service on a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.log = data_dir.with_suffix(".log")
        not_handed_on = ("DATABASE_URL", "CELERY_BROKER_URL", "SANDBOX", "SECRET_KEY", "LOG_LEVEL")
        kept = {name: value for name, value in os.environ.items() if name not in not_handed_on}
        self.environment = {**kept, "DATA_DIR": str(data_dir), "PORT": str(self.port)}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "billing.config.launcher", "serve"],
                cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def wait_until_ready(self) -> None:
        assert self.process.stdout
        first = self.process.stdout.readline()
        assert first == "ready\n", self.log.read_text()[-3000:]

    def status(self) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as got:
                return int(got.status)
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, words: str) -> psutil.Process | None:
        """The living direct child with these words in its command line."""
        for child in psutil.Process(self.process.pid).children():
            try:
                if words in " ".join(child.cmdline()):
                    return child
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue  # It has just died, and is about to be started again.
        return None

    def manage(self, *arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True, timeout=60,
        ).stdout  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    home = Path(tempfile.mkdtemp(prefix="ledger service "))
    home.chmod(0o711)
    service = Service(home / "data")
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.process.terminate()
        service.process.wait(60)
        if service.process.stdout:
            service.process.stdout.close()
        postgres.remove(service.data_dir)
        service.log.unlink()
        home.rmdir()


def test_it_serves_once_it_says_ready(service: Service) -> None:
    assert service.status() == 200


def test_a_second_service_on_the_same_data_is_refused(service: Service) -> None:
    twin = subprocess.run(
        [sys.executable, "-m", "billing.config.launcher", "serve"],
        cwd=ROOT, env={**service.environment, "PORT": str(free_port())},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert twin.returncode == 1
    assert "another service is running on" in twin.stderr
    assert "ready" not in twin.stdout
    assert service.status() == 200


def test_manage_sees_the_running_services_stripe_and_data(service: Service) -> None:
    question = "from django.conf import settings as s; print(s.STRIPE_API_BASE, s.SANDBOX)"
    told = service.manage("shell", "--verbosity", "0", "-c", question).split()
    state = service.data_dir / "service.json"
    assert told == [json.loads(state.read_text())["environment"]["STRIPE_API_BASE"], "True"]
    assert state.stat().st_mode & 0o777 == 0o600
    assert "[ ]" not in service.manage("showmigrations", "--plan"), "all are applied"


@pytest.mark.parametrize("part", ["gunicorn", "celery -A billing.config.celery worker", " beat "])
def test_a_part_that_dies_is_started_again(service: Service, part: str) -> None:
    before = service.child(part)
    assert before, service.log.read_text()[-3000:]
    before.kill()

    def healed() -> bool:
        after = service.child(part)
        return after is not None and after.pid != before.pid and service.status() == 200

    deadline = time.monotonic() + 30
    while not healed():
        assert time.monotonic() < deadline, service.log.read_text()[-3000:]
        time.sleep(0.1)


def test_killed_or_stopped_it_leaves_no_process_behind(service: Service) -> None:
    """SIGKILL first: the kernel ends the children. Then started again, and stopped in order."""
    orphans = service.children()
    service.process.kill()
    service.process.wait(10)
    _, alive = psutil.wait_procs(orphans, timeout=40)
    assert not alive

    again = Service(service.data_dir)
    again.wait_until_ready()
    assert again.status() == 200
    children = again.children()
    server = psutil.Process(postmaster(again.data_dir))
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(60) == 0, again.log.read_text()[-3000:]
    assert again.process.stdout
    again.process.stdout.close()
    _, alive = psutil.wait_procs([*children, server], timeout=5)
    assert not alive


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])
