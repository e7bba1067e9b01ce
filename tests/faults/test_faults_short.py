"""Some seconds of every fault at once: each event is in the ledger once, and the money is right."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.faults.run import run

SECONDS = 15.0
SEED = 11

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]


def test_nothing_is_lost_and_nothing_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="ledger-faults-") as name:
        home = Path(name)
        home.chmod(0o711)
        outcome = run(home, SECONDS, SEED, pause=(0.6, 1.8))
    with capsys.disabled():
        print(f"\n{outcome.told()}")
    assert outcome.differences == []
    assert outcome.dead_letters == 0
    assert outcome.events > SECONDS * 100
    assert outcome.kills["postmaster"] and outcome.kills["web_worker"] and outcome.kills["agent"]
    assert sum(n for fate, n in outcome.connections.items() if fate != "whole") >= 10
    assert outcome.totals_off["files"] == 0, "a file's lines are counted once across kills"
