"""An invoice reaches Stripe once, whatever happens on the way."""

import itertools
import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection, transaction

from billing.domain.errors import ExternalFailure
from billing.models import Customer, Invoice, LineKind, StripeCall
from billing.services import clock, invoice_push, invoice_voiding, ledger
from billing.services.push_leases import Lease
from tests.billing import cast
from tests.billing.stripe_steps import (
    Killed,
    assert_issued_once,
    killed_at,
    later,
    push,
    push_until_done,
)
from tests.stripe_simulator import StripeSimulator

CREATE, LINES, FINALIZE = "/v1/invoices", "/v1/invoices/*/add_lines", "/v1/invoices/*/finalize"
SEND = "/v1/invoices/*/send"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own retries do not sleep here."""
    monkeypatch.setattr(
        "stripe._http_client.HTTPClient._sleep_time_seconds", lambda *args, **options: 0
    )


def test_the_whole_way(stripe_world: StripeSimulator, acme: Customer) -> None:
    invoice = cast.make_invoice(acme)
    assert push(invoice)
    assert_issued_once(invoice, stripe_world)
    balances = {row.code.value: row.debit - row.credit for row in ledger.trial_balance(as_of=None)}
    assert balances == {
        "accounts_receivable": 33_500, "deferred_revenue": -30_000, "unbilled_receivable": -3_500,
    }  # fmt: skip
    assert invoice.due_at == cast.NOW + timedelta(days=30)
    requests = len(stripe_world.log())
    assert push(invoice)
    assert len(stripe_world.log()) == requests


# A fault hits all three attempts of the library, so that ours sees it.
@pytest.mark.parametrize("path", ["/v1/customers", CREATE, LINES, FINALIZE, SEND])
@pytest.mark.parametrize("kind", ["drop_request", "drop_response", "rate_limit"])
def test_lost_requests_and_lost_answers(
    stripe_world: StripeSimulator, acme: Customer, kind: str, path: str
) -> None:
    invoice = cast.make_invoice(acme)
    stripe_world.fault(kind, method="POST", path=path, times=1 if kind == "rate_limit" else 3)
    with pytest.raises(ExternalFailure) as failure:
        push(invoice)
    assert not failure.value.permanent
    invoice.refresh_from_db()
    assert invoice.push_attempts == 1
    assert invoice.push_next_at is not None
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


@pytest.mark.parametrize("path", [CREATE, LINES, FINALIZE, SEND])
@pytest.mark.parametrize("kind", ["error_500", "error_500_after"])
def test_a_500_that_stripe_keeps_for_the_key_is_looked_into(
    stripe_world: StripeSimulator, acme: Customer, kind: str, path: str
) -> None:
    invoice = cast.make_invoice(acme)
    stripe_world.fault(kind, method="POST", path=path, times=1)
    with pytest.raises(ExternalFailure):
        push(invoice)
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


@pytest.mark.parametrize("path", [CREATE, LINES, FINALIZE])
@pytest.mark.parametrize("kind", ["drop_request", "drop_response"])
def test_an_answer_lost_longer_than_stripe_keeps_keys_is_looked_for(
    stripe_world: StripeSimulator, acme: Customer, kind: str, path: str
) -> None:
    invoice = cast.make_invoice(acme)
    stripe_world.fault(kind, method="POST", path=path, times=3)
    with pytest.raises(ExternalFailure):
        push(invoice)
    stripe_world.advance(hours=25)
    with later(hours=25):
        push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)
    epochs = Counter(StripeCall.objects.values_list("step", flat=True))
    assert max(epochs.values()) == (2 if kind == "drop_request" else 1) or path == FINALIZE


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 10))
def test_a_worker_that_dies_at_any_call_is_replaced(
    stripe_world: StripeSimulator, acme: Customer, number: int, after: bool
) -> None:
    invoice = cast.make_invoice(acme)
    with pytest.raises(Killed), killed_at(number, after=after):
        push(invoice)
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_worker_that_dies_before_it_writes_its_progress_down(
    stripe_world: StripeSimulator, acme: Customer, number: int
) -> None:
    invoice = cast.make_invoice(acme)
    record, made = Lease.record, itertools.count(1)

    def dying(lease: Lease, **fields: object) -> None:
        if next(made) == number:
            raise Killed
        record(lease, **fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lease, "record", dying)
        with pytest.raises(Killed):
            push(invoice)
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


def test_the_books_and_the_invoice_change_together(
    stripe_world: StripeSimulator, acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is finalized at Stripe, and we die while we book it: neither the state nor the entry."""
    invoice = cast.make_invoice(acme)

    def dying(**given: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(ledger, "post_entry", dying)
        push(invoice)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.number) == ("draft", "")
    assert [row["status"] for row in stripe_world.objects("invoice")] == ["open"]
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


def test_a_dead_workers_lease_runs_out(stripe_world: StripeSimulator, acme: Customer) -> None:
    invoice = cast.make_invoice(acme)
    Invoice.objects.update(push_leased_until=clock.real_now() + timedelta(minutes=3))
    assert not push(invoice)
    assert not stripe_world.log()
    with later(minutes=4):
        assert push(invoice)
    assert_issued_once(invoice, stripe_world)


@pytest.mark.parametrize("with_lease", [True, False])
def test_many_workers_at_once(
    stripe_world: StripeSimulator,
    acme: Customer,
    with_lease: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where every lease runs out at once: the keys alone keep it to one invoice."""
    invoice = cast.make_invoice(acme)
    if not with_lease:
        monkeypatch.setattr("billing.services.push_leases.LEASE", timedelta(seconds=-1))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                push(invoice)
        except ExternalFailure as failure:
            if failure.permanent:
                failures.append(failure)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    monkeypatch.undo()
    Invoice.objects.update(push_leased_until=None)
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


def test_stripe_is_not_called_inside_a_database_transaction(
    stripe_world: StripeSimulator, acme: Customer
) -> None:
    invoice = cast.make_invoice(acme)
    with pytest.raises(RuntimeError, match="inside a database transaction"), transaction.atomic():
        push(invoice)
    assert not stripe_world.log()


def test_a_draft_that_someone_edited_is_never_finalized(
    stripe_world: StripeSimulator, acme: Customer
) -> None:
    invoice = cast.make_invoice(acme)
    with pytest.raises(Killed), killed_at(5, after=False):
        push(invoice)
    invoice.refresh_from_db()
    lines = [{"amount": 1, "description": "a gift"}]
    stripe_world.client().v1.invoices.add_lines(invoice.stripe_id, {"lines": lines})  # type: ignore[typeddict-item]
    with pytest.raises(ExternalFailure) as failure:
        push(invoice)
    assert failure.value.permanent
    invoice.refresh_from_db()
    assert (invoice.state, invoice.push_blocked) == ("draft", True)
    assert [row["status"] for row in stripe_world.objects("invoice")] == ["draft"]
    assert ledger.trial_balance(as_of=None) == []
    assert not push(invoice)
    assert invoice_push.push_due_invoices(now=cast.NOW) == 0
    (added,) = (row for row in stripe_world.objects("line_item") if row["amount"] == 1)
    removed = [{"id": added["id"], "behavior": "delete"}]
    stripe_world.client().v1.invoices.remove_lines(invoice.stripe_id, {"lines": removed})  # type: ignore[typeddict-item]
    invoice_voiding.unblock_invoice(
        invoice_id=invoice.pk, actor=None, actor_name="ada", now=cast.NOW
    )
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)


def test_more_lines_than_stripe_takes_are_folded_and_not_lost(
    stripe_world: StripeSimulator, acme: Customer
) -> None:
    usage = [cast.line(cents) for cents in range(400)]
    late = [cast.line(1, LineKind.LATE_USAGE) for _ in range(3)]
    invoice = cast.make_invoice(acme, cast.line(3_000_000, LineKind.INSTALMENT, 2), *usage, *late)
    assert push(invoice)
    remote = stripe_world.objects("line_item")
    assert len(remote) == 250
    assert sum(row["amount"] for row in remote) == invoice.total_cents
    others = [row for row in remote if row["metadata"]["ledger_line"].startswith("other-")]
    assert [row["metadata"]["ledger_line"] for row in others] == [
        "other-late_usage", "other-overage",
    ]  # fmt: skip
    assert max(row["amount"] for row in remote) == 3_000_000


def test_the_sweeper_waits_and_takes_what_is_due(
    stripe_world: StripeSimulator, acme: Customer
) -> None:
    first, second = cast.make_invoice(acme), cast.make_invoice(acme)
    stripe_world.fault("drop_request", method="POST", path=CREATE, times=3)
    assert invoice_push.push_due_invoices(now=cast.NOW) == 0
    # It stopped at the first sign that Stripe is gone; the first one waits now.
    assert invoice_push.push_due_invoices(now=cast.NOW) == 1
    with later(minutes=2):
        assert invoice_push.push_due_invoices(now=cast.NOW) == 1
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("finalized", "finalized")
    assert len(stripe_world.objects("customer")) == 1
