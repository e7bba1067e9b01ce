"""A credit note first lowers what is open; what was paid is given back to the cent."""

from __future__ import annotations

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice


def test_before_payment(client: stripe.StripeClient) -> None:
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 600, 400).id)
    note = client.v1.credit_notes.create({"invoice": invoice.id, "amount": 300, "memo": "SLA"})
    assert (note.type, note.pre_payment_amount, note.post_payment_amount) == ("pre_payment", 300, 0)
    assert note.number == f"{invoice.number}-CN-01"
    lowered = client.v1.invoices.retrieve(invoice.id)
    assert (lowered.status, lowered.total) == ("open", 1_000)
    assert (lowered.amount_due, lowered.amount_remaining) == (700, 700)
    assert lowered.pre_payment_credit_notes_amount == 300

    assert client.v1.credit_notes.void_credit_note(note.id).status == "void"
    assert client.v1.invoices.retrieve(invoice.id).amount_remaining == 1_000

    client.v1.credit_notes.create({"invoice": invoice.id, "amount": 1_000})
    assert client.v1.invoices.retrieve(invoice.id).status == "paid"
    listed = client.v1.credit_notes.list({"invoice": invoice.id}).data
    assert [each.status for each in listed] == ["issued", "void"]


def test_after_payment(world: StripeSimulator, client: stripe.StripeClient) -> None:
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    world.pay(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="must equal the post payment amount"):
        client.v1.credit_notes.create({"invoice": invoice.id, "amount": 300})
    note = client.v1.credit_notes.create(
        {"invoice": invoice.id, "amount": 300, "refund_amount": 100, "credit_amount": 200}
    )
    assert (note.type, note.refunds[0].amount_refunded) == ("post_payment", 100)
    customer = client.v1.customers.retrieve(str(invoice.customer))
    assert customer.balance == -200
    after = client.v1.invoices.retrieve(invoice.id)
    assert (after.post_payment_credit_notes_amount, after.amount_paid) == (300, 1_000)
    with pytest.raises(stripe.InvalidRequestError, match="exceeds"):
        client.v1.credit_notes.create({"invoice": invoice.id, "amount": 800, "credit_amount": 800})


def test_by_lines(client: stripe.StripeClient) -> None:
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 600, 400).id)
    line = invoice.lines.data[1]
    note = client.v1.credit_notes.create(
        {
            "invoice": invoice.id,
            "lines": [
                {"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 150},
                {"type": "custom_line_item", "quantity": 2, "unit_amount": 25, "description": "x"},
            ],
        }
    )
    assert (note.total, [each.amount for each in note.lines.data]) == (200, [150, 50])
    assert client.v1.credit_notes.line_items.list(note.id).data[0].invoice_line_item == line.id


def test_only_on_finalized_invoices(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="finalized"):
        client.v1.credit_notes.create({"invoice": new_invoice(client, 500).id, "amount": 100})
