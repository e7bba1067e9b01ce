"""Steps that the tests of credit notes share: ask, approve, push, pay, and look at the books."""

from decimal import Decimal
from typing import Any

from rest_framework.test import APIClient

from billing.models import CreditNote, Invoice
from billing.services import credit_note_push, invoice_sync, ledger
from tests.billing import cast
from tests.stripe_simulator import StripeSimulator


def ask(client: APIClient, invoice: Invoice, amount: str, **more: Any) -> Any:
    body = {"amount": amount, "reason": "double report", "kind": "overbilled_usage"} | more
    return client.post(f"/api/v1/invoices/{invoice.pk}/credit-notes", body, format="json")


def approve(client: APIClient, note_id: str) -> Any:
    return client.post(f"/api/v1/credit-notes/{note_id}/approve")


def agreed(
    ada: APIClient, ben: APIClient, invoice: Invoice, amount: str, **more: Any
) -> CreditNote:
    """Asked for by Ada, approved by Ben; not at Stripe yet."""
    asked = ask(ada, invoice, amount, **more)
    assert asked.status_code == 201, asked.content
    approved = approve(ben, asked.json()["id"])
    assert approved.status_code == 200, approved.content
    return CreditNote.objects.get(pk=asked.json()["id"])


def push(note: CreditNote) -> bool:
    done = credit_note_push.push_note(note_id=note.pk, now=cast.NOW)
    note.refresh_from_db()
    note.invoice.refresh_from_db()
    return done


def split(note: CreditNote) -> tuple[str, int, int, int]:
    return (note.state, note.receivable_cents, note.customer_credit_cents, note.refund_cents)


def balances() -> dict[str, Decimal]:
    return {row.code.value: row.debit - row.credit for row in ledger.trial_balance(as_of=None)}


def pay(world: StripeSimulator, invoice: Invoice) -> None:
    world.pay(invoice.stripe_id)
    invoice_sync.sync_invoice(invoice_id=invoice.pk, now=cast.NOW)
    invoice.refresh_from_db()
