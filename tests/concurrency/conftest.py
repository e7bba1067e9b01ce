"""A nursery, the world before anybody has done anything, and what one process makes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.concurrency.rest import settled
from tests.crash.harness import Nursery, World

WORKS = ("report", "true_up", "draw_down", "approve", "close", "push")


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    home = tmp_path_factory.mktemp("stripe")
    made = Nursery(home, f"at_once_{worker}", "tests.concurrency.works")
    yield made
    made.close()


@pytest.fixture(scope="session")
def signed(nursery: Nursery) -> World:
    return nursery.world("signed", "migrate", "sign")


@pytest.fixture(scope="session")
def serial(nursery: Nursery, signed: World) -> dict[str, Any]:
    """What one process makes of it, alone."""
    with nursery.place(signed) as place:
        outcome = place.run(*WORKS)
        assert outcome.exits == [0], outcome.errors
        return settled(place)
