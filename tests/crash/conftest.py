"""One nursery for all scenes of this process, and the worlds that they are played in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.crash.harness import Nursery, Report, World

ALL = os.environ.get("LEDGER_CRASH") == "all"
Printed = Callable[[str, Report], None]


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    made = Nursery(tmp_path_factory.mktemp("stripe"), f"crash_{worker}", "tests.crash.works")
    yield made
    made.close()


@pytest.fixture(scope="session")
def signed(nursery: Nursery) -> World:
    """Two commits, their first invoices not pushed yet."""
    return nursery.world("signed", "migrate", "sign")


@pytest.fixture(scope="session")
def eve(nursery: Nursery, signed: World) -> World:
    """The eve of the first close."""
    return nursery.world("eve", "spend", base=signed)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Print what a scene came to, past pytest's capture."""

    def show(work: str, report: Report) -> None:
        with capsys.disabled():
            print(f"\ncut off in {work}: {report}")
        for number, moment in enumerate(report.moments, start=1):
            print(number, moment)

    return show
