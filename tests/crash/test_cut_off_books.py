"""A process that is cut off in the books leaves them whole, and whoever comes next finishes.

Reporting usage, drawing it down, a true-up that is billed now, a close that a human approves,
payments, and the daily jobs. `LEDGER_CRASH=all` also runs the moments that differ from the one
before them by nothing that was sent, and the sandbox's jump.
"""

from __future__ import annotations

import pytest

from tests.crash.conftest import ALL, Printed
from tests.crash.harness import Nursery, World, cut_off, every_moment, every_state


@pytest.mark.parametrize("work", ["report", "draw_down", "true_up", "approve", "reconcile"])
def test_cut_off_at_every_moment(nursery: Nursery, eve: World, printed: Printed, work: str) -> None:
    report = cut_off(nursery, eve, work, every_moment)
    printed(work, report)
    assert report.failures == []


@pytest.mark.slow
@pytest.mark.timeout(900)  # Many processes, on a machine that others may be using as well.
def test_the_daily_jobs(nursery: Nursery, eve: World, printed: Printed) -> None:
    """Next quarters, drawdown, a close that is planned, approved, posted and invoiced, Stripe."""
    report = cut_off(nursery, eve, "run_day", every_moment if ALL else every_state)
    printed("run_day", report)
    assert report.failures == []
    commits = " ".join(moment for moment in report.moments if "after commit" in moment)
    for service in ("_open_ahead", "sync_books", "_close_set", "record_finalized"):
        assert service in commits


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not ALL, reason="the same jobs as above, over two days: LEDGER_CRASH=all")
def test_the_jump_of_a_sandbox(nursery: Nursery, eve: World, printed: Printed) -> None:
    report = cut_off(nursery, eve, "jump", every_moment)
    printed("jump", report)
    assert report.failures == []
