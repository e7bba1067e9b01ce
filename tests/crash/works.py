"""The works that processes are put to, by name, and the worlds that are prepared for them.

Each is what an agent, the beat or a finance user would do, at a fixed instant, and each may be
done again. Runs in the forked process only.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.core.management import call_command

from billing.domain.errors import Conflict
from billing.domain.money import ZERO
from billing.models import Customer, Invoice, JobRun
from billing.services import clock, invoice_push, webhook_inbox
from commits.domain.terms import CommitTerms
from commits.models import Commit, TrueUp
from commits.services import closes, daily, signing, true_ups
from tests.commits import world
from tests.commits.world import at
from tests.crash import books

EVE = at("2026-04-03T12:00")
DUE = at("2026-04-04")  # Also when the beat pushes, so that dates do not tell who pushed.


# --- Worlds ---------------------------------------------------------------------------------
def migrate() -> None:
    """The tables, in an empty database."""
    call_command("migrate", verbosity=0, interactive=False)


def sign() -> None:
    """Acme closes by rule; Bolt states no limit and needs a human; Cinder has promised nothing,
    is billed by the month, and uses nothing. Nothing has been pushed."""
    clock.set_sandbox_clock(to=at("2025-12-01"), real_now=clock.real_now())
    world.dollar_prices()
    terms = CommitTerms("cinder", date(2026, 3, 1), None, (ZERO,), ZERO, period_months=1)
    world.make_customer("cinder")
    monthly = signing.create_commit(terms=terms, actor="ada", now=at("2025-12-01"))
    signing.activate_commit(commit_id=monthly.pk, actor="ada", now=at("2025-12-01"))
    for key, limit in (("acme", Decimal(1000)), ("bolt", None)):
        world.signed(world.make_customer(key), auto_approve_max_overage=limit)


def spend() -> None:
    """The first quarter goes by: Acme leaves money, Bolt spends more than it has."""
    push()
    acme, bolt = (Customer.objects.get(key=key) for key in ("acme", "bolt"))
    true_ups.request_true_up(
        commit_id=Commit.objects.get(customer=bolt).pk,
        request=true_ups.TrueUpRequest(Decimal(1000), 1, 1, bill_now=True),
        actor="carol",
        now=at("2026-03-15"),
    )
    for day, dollars in (("2026-01-10", "12000.5"), ("2026-02-10", "9999.623456")):
        world.use(acme, dollars, day, now=at(day), event_id=f"acme/{day}")
    for day, dollars in (("2026-01-20", "20000"), ("2026-03-30", "11250.123456")):
        world.use(bolt, dollars, day, now=at(day), event_id=f"bolt/{day}")
    clock.set_sandbox_clock(to=EVE, real_now=clock.real_now())
    JobRun.objects.create(job=daily.DAILY, due_at=DUE - daily.DAY, finished_at=DUE - daily.DAY)


# --- Works ----------------------------------------------------------------------------------
def report() -> dict[str, int]:
    """An agent's batch: two customers, two quarters, a void, one event that is known."""
    events = [
        event("acme/2026-01-10", "acme", "2026-01-10", {"dollars": 12000, "micros": 500000}),
        event("new/1", "acme", "2026-03-31T23:00", {"dollars": 500}),
        event("new/2", "bolt", "2026-04-02T08:00", {"dollars": 77}),
        event("new/3", "bolt", "2026-03-31T20:00", {"micros": 5}),
        void("bolt/2026-01-20", "bolt"),
    ]
    result = world.send(events, now=at("2026-04-02T10:00"))
    return {"new or known": result.accepted + result.duplicates}


def event(name: str, customer: str, when: str, quantities: dict[str, int]) -> dict[str, Any]:
    """One usage event as an agent sends it."""
    return {
        "specversion": "1.0",
        "id": name,
        "source": "test",
        "subject": customer,
        "time": at(when).isoformat(),
        "type": "inference.usage",
        "data": {"model": "any", "mode": "serverless", "quantities": quantities},
    }


def void(target: str, customer: str) -> dict[str, Any]:
    """The void of one event."""
    return {
        "specversion": "1.0",
        "id": f"void/{target}",
        "source": "test",
        "subject": customer,
        "time": at("2026-04-02T09:00").isoformat(),
        "type": "inference.void",
        "data": {"source": "test", "id": target, "reason": "twice"},
    }


def draw_down() -> None:
    """The drawdown that the beat asks for."""
    daily.draw_down(now=EVE)


def run_day() -> None:
    """The jobs of the midnight at which the first quarter may close."""
    daily.run_due_jobs(now=DUE + timedelta(seconds=5))


def jump() -> None:
    """In a sandbox somebody sets the clock two midnights on. It does not go back, if it was set:
    then the beat does what is left of the last day."""
    try:
        daily.jump(to=DUE + timedelta(days=1), real_now=clock.real_now())
    except Conflict as conflict:
        assert conflict.code == "clock_goes_back"


def approve() -> None:
    """Ben approves Bolt's close; what the API's view does."""
    commit = Commit.objects.get(customer__key="bolt")
    closes.approve_close(commit_id=commit.pk, index=1, actor="ben", now=DUE)
    closes.post_approved(origin_id=commit.origin_id, now=DUE)


def true_up() -> None:
    """Ben approves the true-up that Carol asked for: it covers overage, and is billed now."""
    true_ups.approve_true_up(true_up_id=TrueUp.objects.get().pk, actor="ben", now=EVE)


def push() -> int:
    """Bring everything to Stripe."""
    return invoice_push.push_due_invoices(now=at("2025-12-01"))


def push_one() -> bool:
    """Bring one invoice to Stripe, of a customer whom Stripe does not know yet."""
    invoice = Invoice.objects.get(customer__key="acme")
    return invoice_push.push_invoice(invoice_id=invoice.pk, now=DUE)


def reconcile() -> int:
    """Ask Stripe about everything that is open."""
    return webhook_inbox.reconcile_invoices(now=EVE)


def beat() -> None:
    """The beat comes round; and again when the leases of the dead have run out."""
    daily.run_due_jobs(now=clock.now())
    pass_time(timedelta(minutes=4))
    daily.draw_down(now=DUE)
    invoice_push.push_due_invoices(now=DUE)


def beat_next_day() -> None:
    """The same, but so late that Stripe has forgotten the keys of yesterday's requests."""
    daily.run_due_jobs(now=clock.now())
    pass_time(timedelta(hours=25))
    daily.draw_down(now=DUE)
    invoice_push.push_due_invoices(now=DUE)


def pass_time(delay: timedelta) -> None:
    """Let real time, as leases and keys see it, be later from now on in this process."""
    real_now = clock.real_now
    clock.real_now = lambda: real_now() + delay


WORKS: dict[str, Callable[[], Any]] = {
    work.__name__: work
    for work in (
        migrate, sign, spend, report, draw_down, run_day, jump, approve, true_up, push, push_one,
        reconcile, beat, beat_next_day, books.read_books, books.read_problems,
    )
}  # fmt: skip
