"""The demo's flow where production lives: a PostgreSQL server and RabbitMQ, reached over TCP.

Skipped, loudly, where the machine has none (127.0.0.1:5432 without a password for `postgres`, and
127.0.0.1:5672 for `guest`).
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import psycopg
import pytest
from kombu import Connection, Queue
from psycopg import sql

from tests.scenarios.world import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "tests" / "data" / "azure_llm_inference_2023_conv.csv"
SERVER = "postgresql://postgres@127.0.0.1:5432"
BROKER = "amqp://guest:guest@127.0.0.1:5672"
REQUESTS = 2_000


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database of our own on the separate server."""
    name = f"ledger_demo_{secrets.token_hex(4)}"
    try:
        server = psycopg.connect(f"{SERVER}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        pytest.skip(f"NO POSTGRESQL SERVER ON 127.0.0.1:5432: {error}")
    with server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{SERVER}/{name}"
        finally:
            server.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@pytest.fixture
def broker_url() -> Iterator[str]:
    """RabbitMQ; the queue is removed afterwards, unless somebody else works on it."""
    url = f"{BROKER}//"
    try:
        with Connection(url, connect_timeout=3) as connection:
            connection.ensure_connection(max_retries=1)
            yield url
            _forget(connection)
    except OSError as error:
        pytest.skip(f"NO RABBITMQ ON 127.0.0.1:5672: {error}")


def _forget(connection: Connection) -> None:
    Queue("ledger", channel=connection.default_channel).delete(if_unused=True)


def test_the_demo_on_postgresql_and_rabbitmq(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    """The same figures have to come out as on one laptop: the demo itself compares them."""
    trace = tmp_path / "trace.csv"
    with TRACE.open(newline="") as whole, trace.open("w", newline="") as short:
        short.writelines(islice(whole, REQUESTS + 1))
    not_handed_on = ("STRIPE_API_KEY", "STRIPE_API_BASE", "STRIPE_WEBHOOK_SECRET", "LOG_LEVEL")
    environment = {
        **{name: value for name, value in os.environ.items() if name not in not_handed_on},
        "DATABASE_URL": database_url, "CELERY_BROKER_URL": broker_url, "SERVE": "0",
        "DATA_DIR": str(tmp_path / "data"), "PORT": str(free_port()), "TRACE": str(trace),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo"], cwd=ROOT, env=environment, text=True,
        capture_output=True, check=False, timeout=500,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["requests_replayed"] == told["events_accepted"] == REQUESTS
    assert told["events_sent"] == REQUESTS + told["duplicates"]
    assert told["duplicates"] > 0
    assert told["ledger_ok"] is True
    assert told["input_tokens"] == told["scale"] * _column(trace, 1)
    assert told["output_tokens"] == told["scale"] * _column(trace, 2)
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT count(*) FROM metering_usageevent").fetchone()
        queues = connection.execute("SELECT to_regnamespace('pgmq')").fetchone()
    assert stored == (REQUESTS,)
    assert queues == (None,), "the queue was in RabbitMQ, not here"


def _column(trace: Path, place: int) -> int:
    rows = trace.read_text().splitlines()[1:]
    return sum(int(row.split(",")[place]) for row in rows)
