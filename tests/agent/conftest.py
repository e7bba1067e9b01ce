"""A service for each test that wants one: one that fails on demand, or the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent import running
from tests.agent.service import FakeService, a_service
from tests.scenarios import databases
from tests.scenarios.world import World, a_world


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service that accepts, unless told otherwise."""
    with a_service() as made:
        yield made


@pytest.fixture(autouse=True)
def no_agent_stays_behind() -> Iterator[None]:
    """A test that fails leaves no process of its own running."""
    yield
    for child in running.STARTED:
        if child.poll() is None:
            child.kill()
            child.wait(10)
    running.STARTED.clear()


@pytest.fixture(scope="module")
def world(worker_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The real service, on a database that the tests of one module share."""
    template = databases.make_template(f"agent_{worker_id}")
    with a_world(template, f"{template}_world", tmp_path_factory.mktemp("world")) as made:
        yield made
