"""A credit note on an unused instalment takes the money out of the balance as well."""

from decimal import Decimal as D

import pytest

from billing.domain.errors import Conflict
from billing.models import CreditNote, CreditNoteKind, Customer, Invoice
from billing.services import credit_note_requests as notes
from billing.services.proof import ledger_problems
from commits.models import Commit
from commits.services import balances, closes, credit_notes, daily, proof
from tests.commits.world import at, figures, trial_balance, use
from tests.prove.stripe_words import finalize_drafts, give_up, pay

pytestmark = pytest.mark.django_db(transaction=True)


def credit(invoice: Invoice, cents: int, kind: CreditNoteKind, when: str) -> CreditNote:
    """Asked for by Ada, approved by Ben."""
    asked = notes.request_note(
        invoice_id=invoice.pk,
        request=notes.NoteRequest(cents=cents, reason="agreed by phone", kind=kind),
        actor=None,
        actor_name="ada",
        now=at(when),
    )
    return credit_notes.approve_credit_note(
        note_id=asked.pk, actor=None, actor_name="ben", now=at(when)
    )


def sound() -> bool:
    return proof.commit_problems() == [] and ledger_problems() == []


def test_refunded_money_can_be_drawn_no_more(acme: Customer, commit: Commit) -> None:
    finalize_drafts(at("2026-01-01"))
    use(acme, "22000", "2026-02-01", now=at("2026-02-01"))
    credit(Invoice.objects.get(), 500_000, CreditNoteKind.UNUSED_INSTALMENT, "2026-02-02")
    assert balances.read_balance(customer=acme, now=at("2026-02-02")).available == D(3000)
    assert trial_balance(acme) == {
        "accounts_receivable": D(25000),
        "deferred_revenue": D(-3000),
        "usage_revenue": D(-22000),
    }
    assert sound()
    use(acme, "4000", "2026-02-03", now=at("2026-02-03"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    assert figures(commit)[0] == ("30000", "0", "26000", "1000", "0")
    assert sound()


def test_used_money_is_not_refunded(acme: Customer, commit: Commit) -> None:
    finalize_drafts(at("2026-01-01"))
    use(acme, "29999.5", "2026-02-01", now=at("2026-02-01"))
    with pytest.raises(Conflict) as refused:
        credit(Invoice.objects.get(), 51, CreditNoteKind.UNUSED_INSTALMENT, "2026-02-02")
    assert refused.value.code == "no_unused_money"
    daily.draw_down(now=at("2026-02-02"))
    assert trial_balance(acme)["accounts_receivable"] == D(30000)
    assert CreditNote.objects.get().state == "requested"
    assert sound()


def test_money_that_rolled_on_is_taken_where_it_is(acme: Customer, commit: Commit) -> None:
    finalize_drafts(at("2026-01-01"))
    first = Invoice.objects.get()
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    note = credit(first, 3_000_000, CreditNoteKind.UNUSED_INSTALMENT, "2026-04-05")
    assert note.quarter_index == 2
    assert balances.read_balance(customer=acme, now=at("2026-04-05")).available == D(30000)
    assert sound()


def test_overbilled_usage_lowers_revenue_and_leaves_the_chain_alone(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "30500", "2026-02-01", now=at("2026-02-01"))
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    finalize_drafts(at("2026-04-04"))
    invoice = Invoice.objects.get(occasion="close")
    credit(invoice, 20_000, CreditNoteKind.OVERBILLED_USAGE, "2026-04-05")
    assert trial_balance(acme) == {
        "accounts_receivable": D(60300),
        "deferred_revenue": D(-30000),
        "usage_revenue": D(-30000),
        "overage_revenue": D(-300),
    }
    assert figures(commit)[0] == ("30000", "0", "30500", "500", "0")
    assert sound()


def test_an_invoice_that_was_credited_whole_turns_out_uncollectible(
    acme: Customer, commit: Commit
) -> None:
    """Nothing is owed on it any more: there is nothing to book, and nothing fails."""
    finalize_drafts(at("2026-01-01"))
    invoice = Invoice.objects.get()
    credit(invoice, 3_000_000, CreditNoteKind.UNUSED_INSTALMENT, "2026-01-02")
    give_up(invoice.pk, at("2026-01-03"))
    invoice.refresh_from_db()
    assert invoice.state == "uncollectible"
    assert trial_balance(acme) == {}
    assert sound()
    pay(invoice.pk, "stripe", at("2026-01-04"))
    assert trial_balance(acme) == {}
    assert sound()
