"""Fixtures of the stories: one migrated template a process, one world a story."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import databases
from tests.scenarios.world import World, a_world

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def template(worker_id: str) -> str:
    """The name of a migrated database."""
    return databases.make_template(worker_id)


@pytest.fixture
def world(template: str, tmp_path: Path) -> Iterator[World]:
    """A world that this test alone lives in."""
    name = f"{template}_{next(_numbers)}"
    with a_world(template, name, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def shared_world(template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world for the tests of one module, which keep to customers of their own."""
    name = f"{template}_{next(_numbers)}"
    with a_world(template, name, tmp_path_factory.mktemp("world")) as made:
        yield made
