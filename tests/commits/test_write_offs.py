"""Writing off a voided invoice: two people, once, in an open month, and never issued again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal as D
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from billing.domain.errors import BillingError, Conflict, InvalidInput, NotPermitted
from billing.models import AuditEvent, Customer, Invoice, JournalEntry, WriteOff
from billing.services import accounting_periods, invoice_voiding, write_offs
from billing.services.proof import ledger_problems
from commits.models import Close, Commit
from commits.services import balances, closes, proof
from commits.services.write_offs import approve_write_off, preview_write_off
from tests.commits.world import at, signed, trial_balance, use
from tests.prove import stripe_words

pytestmark = pytest.mark.django_db(transaction=True)

FEB = at("2026-02-02")


@pytest.fixture
def void(acme: Customer, commit: Commit) -> Invoice:
    """The first instalment, issued, 22,000 of it used, and voided."""
    stripe_words.finalize_drafts(at("2026-01-01"))
    use(acme, "22000", "2026-02-01", now=at("2026-02-01"))
    stripe_words.void(Invoice.objects.get().pk, FEB)
    return Invoice.objects.get()


def ask(invoice: Invoice, reason: str = "insolvent") -> WriteOff:
    return write_offs.request_write_off(
        invoice_id=invoice.pk, reason=reason, actor_name="ada", now=FEB
    )


def approve(asked: WriteOff, who: str = "ben", now: Any = FEB) -> WriteOff:
    return approve_write_off(write_off_id=asked.pk, actor_name=who, now=now)


def sound() -> bool:
    return proof.commit_problems() == [] and ledger_problems() == []


def test_what_is_unused_is_withdrawn_and_the_rest_is_bad_debt(
    acme: Customer, commit: Commit, void: Invoice
) -> None:
    (shown,) = preview_write_off(invoice=void)
    done = approve(ask(void))
    assert (shown.quarter_index, shown.cents) == (1, 800_000)
    assert (done.withdrawn, done.bad_debt_cents) == ([[str(commit.pk), 1, 800_000]], 2_200_000)
    assert balances.read_balance(customer=acme, now=FEB).available == 0
    assert trial_balance(acme) == {"bad_debt": D(22000), "usage_revenue": D(-22000)}
    assert sound()
    assert [event.action for event in AuditEvent.objects.filter(object_type="write_off")] == [
        "approve", "request",
    ]  # fmt: skip


def test_whoever_asks_does_not_approve_and_nothing_changes(acme: Customer, void: Invoice) -> None:
    asked, before = ask(void), trial_balance(acme)
    with pytest.raises(NotPermitted):
        approve(asked, "ada")
    assert trial_balance(acme) == before
    approve(asked)
    booked = JournalEntry.objects.count()
    approve(asked)
    assert JournalEntry.objects.count() == booked, "again changes nothing"


def test_only_void_invoices_that_were_not_issued_again(acme: Customer, commit: Commit) -> None:
    stripe_words.finalize_drafts(at("2026-01-01"))
    invoice = Invoice.objects.get()
    refused(ask, invoice, "invoice_not_void")
    stripe_words.void(invoice.pk, FEB)
    asked = ask(invoice)
    invoice_voiding.reissue_invoice(invoice_id=invoice.pk, actor=None, actor_name="ada", now=FEB)
    refused(approve, asked, "invoice_reissued")
    write_offs.reject_write_off(write_off_id=asked.pk, actor_name="ben", now=FEB, why="reissued")
    refused(ask, invoice, "invoice_reissued")
    assert sound()


def refused(act: Any, what: Any, code: str) -> None:
    with pytest.raises(BillingError) as error:
        act(what)
    assert error.value.code == code


def test_it_is_not_issued_again_afterwards(void: Invoice) -> None:
    approve(ask(void))
    with pytest.raises(Conflict) as error:
        invoice_voiding.reissue_invoice(invoice_id=void.pk, actor=None, actor_name="ada", now=FEB)
    assert error.value.code == "invoice_written_off"
    assert Invoice.objects.count() == 1


def test_one_request_at_a_time_with_a_reason(void: Invoice) -> None:
    with pytest.raises(InvalidInput):
        ask(void, "  ")
    asked = ask(void)
    refused(ask, void, "write_off_requested")
    write_offs.reject_write_off(write_off_id=asked.pk, actor_name="ben", now=FEB)
    refused(approve, asked, "not_open")
    approve(ask(void))
    assert WriteOff.objects.filter(state="approved").count() == 1


def test_it_is_dated_in_an_open_month(void: Invoice) -> None:
    asked = ask(void)
    accounting_periods.lock_month(month=date(2026, 2, 1), actor_name="ada", now=at("2026-03-01"))
    approve(asked, now=at("2026-02-27"))
    entry = JournalEntry.objects.get(code="invoice.written_off")
    assert entry.accounting_date == date(2026, 3, 1)


def test_a_draft_that_was_voided_is_given_up_likewise(acme: Customer, commit: Commit) -> None:
    use(acme, "100", "2026-02-01", now=at("2026-02-01"))
    invoice = Invoice.objects.get()
    stripe_words.void(invoice.pk, FEB)
    approve(ask(invoice))
    assert trial_balance(acme) == {"bad_debt": D(100), "usage_revenue": D(-100)}
    assert sound()


def test_money_of_a_close_that_is_approved_waits(acme: Customer, void: Invoice) -> None:
    """An approval freezes its figures: they would change under it."""
    asked = ask(void)
    Commit.objects.update(auto_approve_max_overage=None)
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    close = Close.objects.get()
    close.quarter.state = close.state = "approved"
    close.approved_by, close.approved_at = "ben", at("2026-04-04")
    close.save()
    close.quarter.save()
    refused(approve, asked, "close_is_approved")


def test_money_that_was_kept_for_a_refund_is_owed_to_nobody(acme: Customer) -> None:
    """At the end nothing could be refunded but on the void invoice."""
    commit = signed(acme, instalments=("1000",), end_of_term="refund")
    stripe_words.finalize_drafts(at("2026-01-01"))
    use(acme, "300.005", "2026-02-01", now=at("2026-02-01"))
    stripe_words.void(Invoice.objects.get().pk, FEB)
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    commit.refresh_from_db()
    assert commit.state == "ended"
    done = approve(ask(Invoice.objects.get()))
    assert done.unused_cents == 69_999
    assert trial_balance(acme) == {
        "bad_debt": D("300.01"),
        "rounding": D("-0.005"),
        "usage_revenue": D("-300.005"),
    }
    assert sound()


@pytest.mark.parametrize("_round", range(4))
def test_of_a_write_off_and_a_reissue_at_once_one_wins(void: Invoice, _round: int) -> None:
    asked, start = ask(void), Barrier(2)

    def attempt(act: Callable[[], object]) -> str:
        try:
            start.wait()
            act()
        except Conflict as refused:
            return refused.code
        finally:
            connection.close()
        return "done"

    def reissue() -> object:
        return invoice_voiding.reissue_invoice(
            invoice_id=void.pk, actor=None, actor_name="ada", now=FEB
        )

    with ThreadPoolExecutor() as hands:
        answers = list(hands.map(attempt, [lambda: approve(asked), reissue]))
    assert answers in (["done", "invoice_written_off"], ["invoice_reissued", "done"])
    assert sound()
