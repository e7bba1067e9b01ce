"""`balance` over HTTP with ten million events there, against the same with ten thousand.

A gateway asks for it before it serves a request, so it must not slow down as usage grows: it reads
rollups, never events. Both databases are asked in turn, through a web server of their own each.
"""

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.bench.apart import apart
from tests.bench.lines import line
from tests.bench.service import Service, serving

ASKED = 300


def measures(full: str, small: str, place: Path, *, customers: int, few: int) -> Iterator[str]:
    """The line about balances, of two databases that are filled already."""
    keys = [apart(url, place, finance_key) for url in (full, small)]
    with serving(full, place, keys[0]) as one, serving(small, place, keys[1]) as other:
        with_many, with_few = [], []
        for number in range(ASKED + 20):
            many = _seconds(one, f"c{number * 7919 % customers}")
            other_took = _seconds(other, f"c{number % few}")
            if number >= 20:  # Connections, caches, plans.
                with_many.append(many)
                with_few.append(other_took)
    yield line("balance_10m_vs_10k", median(with_many), median(with_few), unit="s")


def finance_key() -> str:
    """A key that may read every customer."""
    from datetime import UTC, datetime

    from billing.models import ApiKeyKind
    from billing.services import api_keys

    user = api_keys.ensure_controller(name="bench")
    now = datetime.now(UTC)
    return api_keys.create_api_key(kind=ApiKeyKind.FINANCE, now=now, user=user).text


def _seconds(service: Service, customer: str) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", service.target.port, timeout=60)
    try:
        connection.connect()
        begun = time.perf_counter()
        connection.request(
            "GET",
            f"/api/v1/customers/{customer}/balance",
            headers={"Authorization": f"Bearer {service.target.key}"},
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the balance of {customer} answered {answer.status}")
        return time.perf_counter() - begun
    finally:
        connection.close()
