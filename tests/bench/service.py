"""What is measured: the web part as it ships (gunicorn, its own configuration, a production's
settings) on a PostgreSQL that syncs every commit to disk, and a second database beside it.

Each database has its own web server; the one that is not asked costs nothing.
"""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psutil
import psycopg

from billing.config.launcher import children
from billing.config.launcher.environment import WEB_MEMORY
from tests.bench.apart import apart
from tests.bench.client import Target
from tests.bench.events import MODELS

WEB_WORKERS = 2  # As many as there are cores; gunicorn.py's default.


@dataclass(frozen=True, slots=True)
class Service:
    """A database, and the web server that serves it."""

    url: str
    target: Target
    pid: int

    def memory_bytes(self) -> int:
        """What the web server's processes hold in memory."""
        parent = psutil.Process(self.pid)
        return sum(one.memory_info().rss for one in (parent, *parent.children(recursive=True)))

    def connect(self) -> psycopg.Connection:
        """A connection of the bench's own."""
        return psycopg.connect(self.url, autocommit=True)


@contextmanager
def serving(
    url: str, data_dir: Path, key: str, *, settings: str = "billing.config.settings"
) -> Iterator[Service]:
    """The web part on a database that `prepare` has made ready, for the bearer of `key`."""
    port = _free_port()
    environment = {
        "DATABASE_URL": url, "DATA_DIR": str(data_dir), "PORT": str(port), "SANDBOX": "0",
        "DJANGO_SETTINGS_MODULE": settings, "WEB_WORKERS": str(WEB_WORKERS),
        "STRIPE_API_KEY": "sk_test_bench", "LOG_LEVEL": "WARNING", **WEB_MEMORY,
    }  # fmt: skip
    child = children.spawn(["-m", "gunicorn", "-c", "python:billing.config.gunicorn"], environment)
    try:
        _wait_until_it_answers(port)
        yield Service(url, Target(port, key), child.pid)
    finally:
        children.ask_to_end(child)
        children.end_group(child, 20)


def create_database(url: str, name: str) -> str:
    """A further database of the same server; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rpartition("/")[0] + "/" + name


def prepare(url: str, data_dir: Path, *, customers: int) -> str:
    """Tables, prices, customers `c0`, `c1`, ... with terms that rate their usage; an agent's key.

    In a process of its own, because Django knows one database at a time.
    """
    key: str = apart(url, data_dir, _fill, customers)
    return key


def _fill(customers: int) -> str:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from billing.models import ApiKeyKind
    from billing.services import api_keys
    from billing.services.customers import create_customer
    from metering.services import price_book, rate_cards

    now = datetime.now(UTC)
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(days=40)
    for model in MODELS:
        for meter, price in (("input_tokens", "0.50"), ("output_tokens", "1.50")):
            price_book.add_price(
                model=model,
                mode="serverless",
                meter=meter,
                price=Decimal(price),
                effective_at=datetime(2025, 1, 1, tzinfo=UTC),
                actor_name="bench",
                now=now,
            )
    for number in range(customers):
        customer = create_customer(
            key=f"c{number}", name=f"Customer {number}", email=f"c{number}@example.com",
            timezone="UTC", actor_name="bench", now=start,
        )  # fmt: skip
        card = rate_cards.create_rate_card(
            customer_id=customer.pk,
            protected_from=start,
            discount=Decimal("0.20"),
            starts_at=start,
        )
        rate_cards.open_period(
            customer_id=customer.pk, card_id=card.pk, starts_at=start,
            ends_at=start + timedelta(days=90), now=start,
        )  # fmt: skip
    return api_keys.create_api_key(kind=ApiKeyKind.AGENT, now=now, name="bench").text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_it_answers(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
