"""What the eight processes do, each in an order of its own, all on the same four commits.

Runs in the forked processes only. Every work may be done again, by anyone, at the same moment.
Nothing is caught here: whatever a service raises ends the process and fails the test.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from billing.domain.journal import Entry, EntryCode, Scope, postings_of, usage_moves
from billing.domain.money import ZERO
from billing.models import Customer, Invoice
from billing.services import clock, invoice_push, ledger
from commits.models import Commit, TrueUp
from commits.services import closes, daily, shared_closes, true_ups
from tests.commits import world
from tests.commits.world import at
from tests.crash.books import read_books, read_problems
from tests.crash.works import event, migrate, void

DUE = at("2026-04-04")
NEXT = at("2026-07-04")
CAST = ("acme", "bolt", "cinder", "dune")
BATCHES, EVENTS = 6, 24


def sign() -> None:
    """Acme leaves money, Cinder has overage, Dune uses nothing, Bolt has overage and no limit.

    Acme's and Bolt's true-ups wait for a second person.
    """
    world.dollar_prices()
    for key in CAST:
        limit = None if key == "bolt" else Decimal(100_000)
        commit = world.signed(world.make_customer(key), auto_approve_max_overage=limit)
        if key in ("acme", "bolt"):
            true_ups.request_true_up(
                commit_id=commit.pk,
                request=true_ups.TrueUpRequest(Decimal(5000), 2, 3, bill_now=True),
                actor="carol",
                now=at("2026-03-20"),
            )


def batches() -> list[list[dict[str, Any]]]:
    """The same events in the same batches: of three customers, in the first two quarters."""
    made = []
    for number in range(BATCHES):
        batch = []
        for place in range(EVENTS):
            key = CAST[place % 3]
            dollars = {"acme": 300, "bolt": 700, "cinder": 900}[key]
            when = f"2026-03-{1 + place:02}" if place % 4 else f"2026-04-0{1 + place % 3}"
            quantities = {"dollars": dollars, "micros": 1 + number * EVENTS + place}
            batch.append(event(f"{number}/{place}", key, when, quantities))
        # Acme never has overage, so that what a late void gives back is money in any order.
        batch.append(void(f"{number}/3", "acme"))
        made.append(batch)
    return made


def report() -> int:
    """One agent sends the batches; how many events were new."""
    return sum(world.send(batch, now=DUE).accepted for batch in batches())


def report_backwards() -> int:
    """Another agent sends the same batches from the last to the first, each from its end.

    A void may stand before its target in one batch.
    """
    return sum(world.send(batch[::-1], now=DUE).accepted for batch in reversed(batches()))


def draw_down() -> None:
    """What the beat does every five seconds."""
    for _ in range(4):
        daily.draw_down(now=DUE)


def close() -> None:
    """The closes of the first quarter."""
    for _ in range(3):
        closes.run_closes(as_of=DUE, now=DUE)


def close_as_runner() -> None:
    """The same, by the one that runs the daily jobs, who says that it is closing."""
    for _ in range(3):
        shared_closes.close_due(now=DUE)


def lend_a_hand() -> None:
    """The same, by workers that find it at them."""
    for _ in range(30):
        shared_closes.lend_a_hand()
        time.sleep(0.01)


def approve() -> None:
    """Ben approves Bolt's close."""
    commit = Commit.objects.get(customer__key="bolt")
    closes.approve_close(commit_id=commit.pk, index=1, actor="ben", now=DUE)
    closes.post_approved(origin_id=commit.origin_id, now=DUE)


def true_up() -> None:
    """Ben approves what Carol has asked for."""
    for pk in TrueUp.objects.order_by("pk").values_list("pk", flat=True):
        true_ups.approve_true_up(true_up_id=pk, actor="ben", now=DUE)


def push() -> None:
    """What is due goes to Stripe."""
    for _ in range(3):
        invoice_push.push_due_invoices(now=DUE)


def settle() -> None:
    """Minutes later what was left lying is picked up; then the next quarter closes as well.

    What came too late for the first close stands on that invoice.
    """
    real_now = clock.real_now
    clock.real_now = lambda: real_now() + timedelta(minutes=4)
    for work in (report, true_up, approve, close, draw_down, push):
        work()
    closes.run_closes(as_of=NEXT, now=NEXT)
    bolt = Commit.objects.get(customer__key="bolt")
    closes.approve_close(commit_id=bolt.pk, index=2, actor="ben", now=NEXT)
    closes.post_approved(origin_id=bolt.origin_id, now=NEXT)
    assert not daily.draw_down(now=NEXT)
    invoice_push.push_due_invoices(now=NEXT)


def against_the_order() -> None:
    """Book two entries of one commit in two steps, so that whoever issues its close invoice, which
    asks for both their accounts in order, waits for us while we wait for it. Leaves nothing."""
    cinder = Customer.objects.get(key="cinder")
    scope = Scope(cinder.pk, Commit.objects.get(customer=cinder).pk)
    prepaid = Entry(
        "test/prepaid", EntryCode.USAGE_DRAWDOWN, scope, DUE.date(),
        postings_of(scope, *usage_moves(2, Decimal(1), ZERO)), quarter_index=2,
    )  # fmt: skip
    overage = Entry(
        "test/overage", EntryCode.USAGE_OVERAGE, scope, DUE.date(),
        postings_of(scope, *usage_moves(2, ZERO, Decimal(1))), quarter_index=2,
    )  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL deadlock_timeout = '30s'")  # The other one is to lose.
        ledger.post_entry(entry=prepaid, now=DUE)
        _until(_someone_waits)
        ledger.post_entry(entry=overage, now=DUE)
        transaction.set_rollback(True)


def wait_a_moment() -> None:
    """Let the other process go first: until it is inside its transaction."""
    _until(_someone_books)


def _until(happens: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline, f"not even after a minute: {happens.__name__}"
        time.sleep(0.01)


def _someone_books() -> bool:
    return _is_true(
        "SELECT EXISTS (SELECT FROM pg_locks JOIN pg_class class ON class.oid = relation"
        " JOIN pg_database known ON known.oid = database WHERE datname = current_database()"
        " AND relname = 'billing_posting' AND mode = 'RowExclusiveLock')"
    )


def _someone_waits() -> bool:
    return _is_true(
        # Not pg_stat_activity: within a transaction that goes on showing what it first showed.
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
        " AND pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    )


def _is_true(question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question)
        return bool(cursor.fetchone()[0])


def invoiced() -> dict[str, int]:
    """Cents on the live invoices of each customer: one for each occasion, and all arrived."""
    live = Invoice.objects.exclude(state="void")
    assert set(live.values_list("state", "push_step")) == {("finalized", "sent")}
    occasions = list(live.values_list("commit_id", "occasion", "occasion_ref"))
    assert len(occasions) == len(set(occasions))
    return {
        customer.key: sum(
            customer.invoices.exclude(state="void").values_list("total_cents", flat=True)
        )
        for customer in Customer.objects.order_by("key")
    }


def deadlocks() -> int:
    """How many deadlocks PostgreSQL has ended in this database so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


WORKS: dict[str, Callable[[], Any]] = {
    work.__name__: work
    for work in (
        migrate, sign, report, report_backwards, draw_down, close, close_as_runner, lend_a_hand,
        approve, true_up, push, settle, against_the_order, wait_a_moment, invoiced, deadlocks,
        read_books, read_problems,
    )
}  # fmt: skip
