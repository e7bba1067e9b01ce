"""A service for each test that wants one. No database: nothing here imports Django."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.agent.service import FakeService, a_service


@pytest.fixture
def service() -> Iterator[FakeService]:
    """A service that accepts, unless told otherwise."""
    with a_service() as running:
        yield running
