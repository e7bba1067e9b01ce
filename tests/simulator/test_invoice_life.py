"""An invoice goes draft -> open -> paid, void or uncollectible, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice


def test_whole_life(world: StripeSimulator, client: stripe.StripeClient) -> None:
    draft = new_invoice(client, 120_000, 5_050, metadata={"our_invoice_id": "inv-1"})
    assert (draft.status, draft.total, draft.number) == ("draft", 125_050, None)
    assert draft.due_date == draft.created + 30 * 86_400

    opened = client.v1.invoices.finalize_invoice(draft.id, {"auto_advance": False})
    assert opened.status == "open"
    assert opened.number is not None and opened.number.endswith("-0001")
    assert (opened.amount_due, opened.amount_remaining, opened.amount_paid) == (125_050, 125_050, 0)
    assert opened.hosted_invoice_url and opened.invoice_pdf
    assert opened.effective_at == opened.status_transitions.finalized_at

    client.v1.invoices.send_invoice(draft.id)
    world.pay(draft.id)
    paid = client.v1.invoices.retrieve(draft.id, {"expand": ["payments", "customer"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 125_050, 0)
    assert paid.status_transitions.paid_at is not None
    assert paid.payments is not None and paid.payments.data[0].status == "paid"
    assert isinstance(paid.customer, stripe.Customer) and paid.customer.name == "Acme"

    types = [event.type for event in client.v1.events.list({"limit": 100}).data][::-1]
    assert types == [
        "customer.created",
        "customer.updated",
        "invoice.created",
        "invoice.updated",
        "invoice.finalized",
        "invoice.updated",
        "invoice.sent",
        "invoice_payment.paid",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_finalizing_twice_is_refused(client: stripe.StripeClient) -> None:
    invoice = new_invoice(client, 1_000)
    client.v1.invoices.finalize_invoice(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="already finalized, you can't re-final"):
        client.v1.invoices.finalize_invoice(invoice.id)


def test_finalized_invoice_is_frozen(client: stripe.StripeClient) -> None:
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    calls: list[Callable[[], Any]] = [
        lambda: client.v1.invoices.add_lines(invoice.id, {"lines": [{"amount": 1}]}),
        lambda: client.v1.invoices.update(invoice.id, {"description": "other"}),
        lambda: client.v1.invoices.delete(invoice.id),
    ]
    for call in calls:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            call()
        assert refused.value.code == "invoice_not_editable"
    updated = client.v1.invoices.update(invoice.id, {"metadata": {"seen": "yes"}})
    assert updated.to_dict()["metadata"] == {"seen": "yes"}
    assert updated.total == 1_000


def test_void_and_uncollectible(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="only pass in open invoices"):
        client.v1.invoices.void_invoice(new_invoice(client, 1_000).id)
    first = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    assert client.v1.invoices.void_invoice(first.id).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(first.id, {"paid_out_of_band": True})
    second = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    assert client.v1.invoices.mark_uncollectible(second.id).status == "uncollectible"
    paid = client.v1.invoices.pay(second.id, {"paid_out_of_band": True})
    assert (paid.status, paid.amount_paid_off_stripe) == ("paid", 1_000)
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        client.v1.invoices.pay(second.id, {"paid_out_of_band": True})


def test_pay_needs_a_method_and_a_declined_one_leaves_its_attempt(
    client: stripe.StripeClient,
) -> None:
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        client.v1.invoices.pay(invoice.id)
    with pytest.raises(stripe.CardError) as declined:
        client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_chargeDeclined"})
    assert declined.value.code == "card_declined"
    assert client.v1.invoices.retrieve(invoice.id).attempt_count == 1
    assert client.v1.events.list({"type": "invoice.payment_failed"}).data
    paid = client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "paid"


def test_delete_draft_frees_swept_items(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({}).id
    for amount in (100, 200):
        client.v1.invoice_items.create({"customer": customer, "amount": amount, "currency": "usd"})
    swept = new_invoice(client, customer=customer, pending_invoice_items_behavior="include")
    assert [line.amount for line in swept.lines.data] == [200, 100]
    with_more = client.v1.invoices.add_lines(swept.id, {"lines": [{"amount": 7}, {"amount": 8}]})
    assert [line.amount for line in with_more.lines.data] == [200, 100, 7, 8]
    assert client.v1.invoices.delete(swept.id).to_dict()["deleted"] is True
    with pytest.raises(stripe.InvalidRequestError) as gone:
        client.v1.invoices.retrieve(swept.id)
    assert (gone.value.http_status, gone.value.code) == (404, "resource_missing")
    pending = client.v1.invoice_items.list({"customer": customer, "pending": True})
    assert [item.amount for item in pending.data] == [200, 100]


def test_lines_can_be_updated_and_removed_in_a_draft(client: stripe.StripeClient) -> None:
    draft = new_invoice(client, 100, 200, 300)
    first, second, _third = draft.lines.data
    client.v1.invoices.update_lines(draft.id, {"lines": [{"id": first.id, "amount": 150}]})
    removed = client.v1.invoices.remove_lines(
        draft.id, {"lines": [{"id": second.id, "behavior": "delete"}]}
    )
    assert (removed.total, [line.amount for line in removed.lines.data]) == (450, [150, 300])


def test_no_more_than_250_items(client: stripe.StripeClient) -> None:
    draft = new_invoice(client, *([1] * 250))
    assert draft.total == 250
    with pytest.raises(stripe.InvalidRequestError, match="up to 250"):
        client.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 1}]})
    assert client.v1.invoices.retrieve(draft.id).total == 250


def test_draft_with_auto_advance_finalizes_after_an_hour(
    world: StripeSimulator, client: stripe.StripeClient
) -> None:
    draft = new_invoice(client, 1_000, auto_advance=True)
    assert draft.automatically_finalizes_at == draft.created + 3_600
    world.advance(seconds=1_800)
    assert client.v1.invoices.retrieve(draft.id).status == "draft"
    world.advance(seconds=1_900)
    assert client.v1.invoices.retrieve(draft.id).status == "open"
    assert client.v1.events.list({"type": "invoice.sent"}).data


def test_auto_pay_pays_what_was_sent(world: StripeSimulator, client: stripe.StripeClient) -> None:
    world.automation.set_auto_pay(enabled=True, delay_seconds=0)
    unsent = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    sent = client.v1.invoices.send_invoice(new_invoice(client, 1_000).id)
    world.automation.look()
    assert client.v1.invoices.retrieve(sent.id).status == "paid"
    assert client.v1.invoices.retrieve(unsent.id).status == "open"
