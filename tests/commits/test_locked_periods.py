"""Usage of a locked month gets the first unlocked date; its figures stay those of its own time."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal as D

import pytest
from django.db import connection, transaction

from billing.models import Customer, JournalEntry, LedgerAccount
from billing.services import accounting_periods, proof
from commits.models import Commit
from commits.services import balances, closes, daily
from commits.services import proof as commits_proof
from tests.commits.world import at, use


def lock(month: date, now: str) -> None:
    accounting_periods.lock_month(month=month, actor_name="ada", now=at(now))


def dated(kind: str) -> list[tuple[date | None, date]]:
    entries = JournalEntry.objects.filter(code=kind).order_by("pk")
    return list(entries.values_list("usage_date", "accounting_date"))


def test_late_usage_inside_its_quarter(acme: Customer, commit: Commit) -> None:
    use(acme, "100", "2026-01-31", now=at("2026-01-31"))
    daily.draw_down(now=at("2026-02-03"))
    lock(date(2026, 1, 1), "2026-02-03")
    use(acme, "7", "2026-01-31", now=at("2026-02-05"))
    daily.draw_down(now=at("2026-02-05"))
    january = date(2026, 1, 31)
    assert dated("usage.drawdown") == [(january, january), (january, date(2026, 2, 1))]
    assert balances.read_balance(customer=acme, now=at("2026-02-05")).used == D(107)
    assert [*proof.ledger_problems(), *commits_proof.commit_problems()] == []


def test_late_usage_of_a_posted_quarter_lands_in_the_open_one(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "22000", "2026-02-28", now=at("2026-02-28"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    for month in range(1, 5):
        lock(date(2026, month, 1), "2026-05-02")
    use(acme, "500", "2026-02-28", now=at("2026-05-10"))
    daily.draw_down(now=at("2026-05-10"))
    assert dated("usage.late") == [(None, date(2026, 5, 1))]
    entry = JournalEntry.objects.get(code="usage.late")
    assert (entry.quarter_index, entry.origin_quarter_index) == (2, 1)
    first = balances.read_quarters(commit=commit)[0].figures
    assert (first.used, first.rolled_out) == (D(22_500), D(7_500))
    assert [*proof.ledger_problems(), *commits_proof.commit_problems()] == []


def test_leap_day_is_locked_with_its_february(acme: Customer, commit: Commit) -> None:
    lock(date(2024, 2, 29), "2026-02-03")
    lock(date(2026, 2, 28), "2026-03-03")
    use(acme, "3", "2026-02-28", now=at("2026-03-04"))
    daily.draw_down(now=at("2026-03-04"))
    assert dated("usage.drawdown") == [(date(2026, 2, 28), date(2026, 3, 1))]


def wait_for_a_lock() -> None:
    """Until some backend waits for a lock."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks"
                " WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waited")


@pytest.mark.django_db(transaction=True)
def test_a_month_that_is_locked_while_it_is_booked_into(acme: Customer, commit: Commit) -> None:
    """Whoever had looked for an open date before looks again, and nobody hears of it."""
    use(acme, "100", "2026-01-30", now=at("2026-01-31"))
    daily.draw_down(now=at("2026-01-31"))
    use(acme, "7", "2026-01-31", now=at("2026-02-03"))

    def in_a_connection_of_its_own(act: Callable[[], object]) -> object:
        try:
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor() as hands:
        with transaction.atomic():
            # It has its dates by now, and waits for the accounts.
            list(LedgerAccount.objects.select_for_update())
            booking = hands.submit(
                in_a_connection_of_its_own, lambda: daily.draw_down(now=at("2026-02-03"))
            )
            wait_for_a_lock()
            hands.submit(
                in_a_connection_of_its_own, lambda: lock(date(2026, 1, 1), "2026-02-03")
            ).result()
        booking.result()
    assert dated("usage.drawdown")[-1] == (date(2026, 1, 31), date(2026, 2, 1))
    assert [*proof.ledger_problems(), *commits_proof.commit_problems()] == []
