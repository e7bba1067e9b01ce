"""The queue in PostgreSQL: installed once, and no task is lost with the worker that had it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from billing.config.launcher import postgres
from billing.config.queue import broker_conninfo, ensure_pgmq

ROOT = Path(__file__).parents[2]
VISIBILITY_SECONDS = 4


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with postgres.throwaway() as url:
        yield url


def fresh_database(server_url: str, name: str) -> str:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server_url.rpartition("/")[0] + "/" + name


def test_it_is_installed_once_by_many_at_a_time(database_url: str) -> None:
    url = fresh_database(database_url, "installed_together")
    together = threading.Barrier(4)

    def install(_: int) -> bool:
        together.wait(10)
        return ensure_pgmq(url)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(install, range(4))) == [False, False, False, True]
    assert ensure_pgmq(url) is False


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres@%2Ftmp%2Fa%20clone%2Fpostgres/ledger",
        "postgresql://ledger:it%27s%20a%20%5Csecret@db:5433/books?sslmode=require",
    ],
)
def test_the_client_of_the_queue_gets_the_address_whole(url: str) -> None:
    from pgmq.base import PGMQConfig

    wanted = {"port": "5432", "password": ""} | conninfo_to_dict(url)
    assert conninfo_to_dict(PGMQConfig(conn_string=broker_conninfo(url)).dsn) == wanted


def wait_until(happened: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_task_outlives_the_worker_that_was_killed_in_it(
    database_url: str, tmp_path: Path
) -> None:
    """A worker dies by SIGKILL in the middle of a task; the next one runs it again to its end."""
    url = fresh_database(database_url, "redelivered")
    ensure_pgmq(url)
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "CELERY_BROKER_URL": "pgmq://localhost",
        "BROKER_VISIBILITY_SECONDS": str(VISIBILITY_SECONDS),
        "LEDGER_TEST_STEPS": str(tmp_path / "steps"),
        "WORKER_CONCURRENCY": "1",
    }
    steps = tmp_path / "steps"
    steps.touch()

    def worker() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "tests.foundations.queue_task", "worker",
             "--without-gossip", "--without-mingle", "--without-heartbeat"],
            cwd=ROOT, env=environment, start_new_session=True,
        )  # fmt: skip

    send = [sys.executable, "-m", "tests.foundations.queue_task"]
    subprocess.run(send, cwd=ROOT, env=environment, check=True, timeout=60)
    first = worker()
    try:
        wait_until(lambda: steps.read_text() == "started\n", 60, "the first start")
        assert waiting(url) == 1, "unacknowledged while it runs"
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    second = worker()
    try:
        wait_until(lambda: "finished" in steps.read_text(), 60, "the second start")
        wait_until(lambda: waiting(url) == 0, 10, "the acknowledgement")
    finally:
        second.terminate()
        second.wait(30)
    assert steps.read_text() == "started\nstarted\nfinished\n"


def waiting(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT queue_length FROM pgmq.metrics('ledger')").fetchone()
        assert row
        return int(row[0])
