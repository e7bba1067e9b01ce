"""A close whose process is killed with -9, at every commit, before and after it: the same books,
one invoice. And a worker killed in the middle of the daily jobs."""

from __future__ import annotations

import signal
import subprocess
import time

import psycopg
import pytest

from tests.scenarios import books, story
from tests.scenarios.story import open_books, report, same, sign, spread
from tests.scenarios.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AS_OF = "2026-04-04T00:00:00Z"
QUARTERS = """
    state     granted             rolled_in       used                overage          rolled_out      breakage
Q1  invoiced  30000.000000000000  0.000000000000  31250.123456000000  1250.123456000000  0.000000000000  0.000000000000
Q2  open      30000.000000000000  0.000000000000      0.000000000000     0.000000000000  0.000000000000  0.000000000000
Q3  open          0.000000000000  0.000000000000      0.000000000000     0.000000000000  0.000000000000  0.000000000000
"""  # noqa: E501
INVOICES = """
   line        of  meter    quantity  dollars   state
1  instalment  Q1                     30000.00
1  total                              30000.00  paid
2  instalment  Q2                     30000.00
2  overage     Q1  dollars      1250   1250.12
2  total                              31250.12  paid
"""
ACCOUNTS = """
account              debit               credit
deferred_revenue_Q2  -                   30000.000000000000
overage_revenue      -                    1250.123456000000
stripe_clearing      61250.120000000000  -
unbilled_receivable      0.003456000000  -
usage_revenue        -                   30000.000000000000
sum                  61250.123456000000  61250.123456000000
"""


def to_the_eve(world: World) -> str:
    """Q1 is over, its usage reported; its close falls due at the next midnight."""
    open_books(world)
    commit = sign(world, quarters=2, end_of_term={"kind": "tail"})
    world.set_clock("2026-03-31T23:30:00Z")
    report(world, spread("2026-01-01", "2026-03-31", "31250.123456"))
    world.set_clock("2026-04-03T23:59:00Z")
    world.wait_until_paid("acme")
    world.stop_worker()
    world.set_clock("2026-04-03T23:59:58Z")
    time.sleep(3)  # Real time goes on, and there is nobody who does what has fallen due.
    return commit


def let_leases_run_out(world: World) -> None:
    """Three minutes pass: whoever was at an invoice when it died has lost it."""
    with psycopg.connect(world.database_url) as connection:
        connection.execute("UPDATE billing_invoice SET push_leased_until = NULL")


def died(process: subprocess.Popen[str]) -> bool:
    """Whether it was killed; any other end but success is a failure."""
    _, complaints = process.communicate(timeout=120)
    assert process.returncode in (0, -signal.SIGKILL), complaints
    return process.returncode != 0


def the_same_books(world: World, commit: str) -> None:
    """What one undisturbed close leaves."""
    world.wait_until_paid("acme")
    same(story.quarters_table(world, commit), QUARTERS)
    same(story.invoices_table(world), INVOICES)
    same(books.trial_balance(world), ACCOUNTS)
    world.manage("check_ledger")
    at_stripe = [invoice["total"] for invoice in world.stripe.objects("invoice")]
    assert sorted(at_stripe) == [3_000_000, 3_125_012]
    assert world.stripe.violations() == []


def close_and_die(world: World, side: str, number: int) -> bool:
    """Run the close; whether it was killed at its N-th commit."""
    return died(
        world.start(
            "-m",
            "tests.scenarios.dying",
            "command",
            side,
            str(number),
            "close_quarters",
            "--as-of",
            AS_OF,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
    )


def test_killed_at_every_commit(world: World) -> None:
    """Each run dies at its first commit, once before and once after it, until one ends."""
    commit = to_the_eve(world)
    deaths = 0
    while close_and_die(world, "after" if deaths % 2 else "before", 1):
        deaths += 1
        let_leases_run_out(world)
        assert deaths < 60, "it gets nowhere"
    assert deaths >= 4
    world.start_worker()
    the_same_books(world, commit)


def test_killed_before_a_later_commit(world: World) -> None:
    """A run that has done several steps dies before the next one has been recorded."""
    commit = to_the_eve(world)
    deaths = 0
    for number in (2, 3, 4, 5):
        deaths += close_and_die(world, "before", number)
        let_leases_run_out(world)
    assert deaths
    assert not close_and_die(world, "before", 1000)
    world.start_worker()
    the_same_books(world, commit)


def test_a_worker_killed_in_the_daily_jobs(world: World) -> None:
    """The worker dies in the middle of the close; another one is started and given the job."""
    commit = to_the_eve(world)
    for side, number in (("before", 2), ("after", 2)):
        ask_for_the_daily_jobs(world)
        worker = world.start(
            "-m", "tests.scenarios.dying", "worker", side, str(number),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert worker.wait(60) == -signal.SIGKILL
        let_leases_run_out(world)
    world.start_worker()
    ask_for_the_daily_jobs(world)
    wait_until_closed(world, commit)
    the_same_books(world, commit)


def ask_for_the_daily_jobs(world: World) -> None:
    """What the beat does."""
    world.start(
        "-m", "celery", "-A", "billing.config.celery", "call", "commits.run_due_jobs",
        stdout=subprocess.DEVNULL,
    ).wait(60)  # fmt: skip


def wait_until_closed(world: World, commit: str) -> None:
    """Wait until the first quarter is invoiced."""
    deadline = time.monotonic() + 60
    while story.quarters(world, commit)[0]["state"] != "invoiced":
        assert time.monotonic() < deadline
        time.sleep(0.2)
