"""Credit notes: two people, never more than was billed, and booked at once."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from billing.models import AuditEvent, CreditNote, Customer, Invoice, LineKind
from billing.services import invoice_sync, proof
from tests.billing import cast
from tests.billing.conftest import Caller
from tests.billing.credit_note_steps import agreed, approve, ask, balances, pay, push, split
from tests.billing.stripe_steps import push_until_done
from tests.stripe_simulator import StripeSimulator


def test_a_note_on_an_open_invoice_lowers_what_is_owed(
    stripe_world: StripeSimulator, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    note = agreed(ada, ben, issued, "500.00")
    assert split(note) == ("approved", 50_000, 0, 0)
    assert balances() == {
        "accounts_receivable": 33_000,
        "deferred_revenue": -30_000,
        "unbilled_receivable": -3_500,
        "overage_revenue": 500,
    }
    assert proof.ledger_problems() == []
    assert push(note)
    assert split(note) == ("issued", 50_000, 0, 0)
    (remote,) = stripe_world.objects("credit_note")
    assert (remote["total"], remote["number"], remote["id"]) == (
        50_000,
        note.number,
        note.stripe_id,
    )
    pay(stripe_world, issued)
    assert issued.state == "paid"
    assert balances()["stripe_clearing"] == 33_000
    assert "accounts_receivable" not in balances()
    shown = ada.get(f"/api/v1/invoices/{issued.pk}").json()["credit_notes"]
    listed = ada.get(f"/api/v1/invoices/{issued.pk}/credit-notes").json()["results"]
    assert shown == listed
    assert [(row["state"], row["total_cents"]) for row in shown] == [("issued", 50_000)]


def test_a_note_on_a_paid_invoice_is_refunded_by_stripe(
    stripe_world: StripeSimulator, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    pay(stripe_world, issued)
    note = agreed(ada, ben, issued, "500.00")
    assert split(note) == ("approved", 0, 0, 50_000)
    assert balances()["refunds_payable"] == -500
    assert push(note)
    assert split(note) == ("issued", 0, 0, 50_000)
    assert "refunds_payable" not in balances()
    assert balances()["stripe_clearing"] == 33_000


def test_or_becomes_a_credit_that_pays_the_next_invoice(
    stripe_world: StripeSimulator, acme: Customer, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    pay(stripe_world, issued)
    note = agreed(ada, ben, issued, "500.00", as_credit=True)
    assert push(note)
    assert split(note) == ("issued", 0, 50_000, 0)
    assert balances()["customer_credits"] == -500
    following = cast.make_invoice(Customer.objects.get(), cast.line(80_000))
    push_until_done(following)
    following.refresh_from_db()
    pay(stripe_world, following)
    assert following.state == "paid"
    assert "customer_credits" not in balances()
    assert balances()["stripe_clearing"] == 33_500 + 300


def test_what_was_paid_by_bank_is_refunded_by_bank(
    stripe_world: StripeSimulator, issued: Invoice, ada: APIClient, ben: APIClient
) -> None:
    stripe_world.client().v1.invoices.pay(issued.stripe_id, {"paid_out_of_band": True})
    invoice_sync.sync_invoice(invoice_id=issued.pk, now=cast.NOW)
    note = agreed(ada, ben, issued, "500.00")
    assert push(note)
    assert (split(note), note.refund_outside_cents) == (("issued", 0, 0, 50_000), 50_000)
    assert balances()["refunds_payable"] == -500
    assert proof.ledger_problems() == []
    url = f"/api/v1/credit-notes/{note.pk}/refunded"
    assert [ben.post(url).status_code for _ in range(2)] == [200, 200]
    assert "refunds_payable" not in balances()
    assert balances()["bank"] == 33_000


def test_two_people_and_never_more_than_was_billed(
    issued: Invoice, acme: Customer, ada: APIClient, ben: APIClient, caller: Caller
) -> None:
    for amount, more, code in (
        ("3500.01", {}, "more_than_invoiced"),
        ("30000.01", {"kind": "unused_instalment"}, "more_than_invoiced"),
        ("1.00", {"kind": None}, "invalid_credit_note"),
        ("1.00", {"reason": " "}, "invalid_input"),
        ("0.00", {}, "invalid_input"),
        ("0.001", {}, "invalid_input"),
        ("1.00", {"goodwill": True}, "invalid_input"),
    ):
        assert ask(ada, issued, amount, **more).json()["code"] == code
    assert ask(caller(cast.customer_key(acme)), issued, "1.00").status_code == 403
    assert not CreditNote.objects.exists()
    first = ask(ada, issued, "3000.00").json()
    assert ask(ada, issued, "500.01").json()["code"] == "more_than_invoiced"
    assert approve(ada, first["id"]).json()["code"] == "maker_is_checker"
    assert balances()["accounts_receivable"] == 33_500
    assert ben.post(f"/api/v1/credit-notes/{first['id']}/reject").json()["state"] == "rejected"
    assert approve(ben, first["id"]).json()["code"] == "not_open"
    assert ask(ada, issued, "3500.00").status_code == 201
    actions = AuditEvent.objects.filter(object_type="credit_note").order_by("id")
    assert list(actions.values_list("action", "actor_name")) == [
        ("request", "ada"),
        ("reject", "ben"),
        ("request", "ada"),
    ]


def test_a_draft_is_voided_not_credited_and_a_credited_one_is_not_voided(
    stripe_world: StripeSimulator,
    acme: Customer,
    issued: Invoice,
    ada: APIClient,
    ben: APIClient,
) -> None:
    draft = cast.make_invoice(acme)
    assert ask(ada, draft, "1.00").json()["code"] == "invoice_not_creditable"
    agreed(ada, ben, issued, "1.00")
    void = ada.post(f"/api/v1/invoices/{issued.pk}/void", {}, format="json")
    assert (void.status_code, void.json()["code"]) == (409, "invoice_has_credit_notes")
    assert [row["status"] for row in stripe_world.objects("invoice")] == ["open"]


def test_crediting_all_of_an_open_invoice_makes_it_paid(
    stripe_world: StripeSimulator, acme: Customer, ada: APIClient, ben: APIClient
) -> None:
    invoice = cast.make_invoice(acme, cast.line(80_000))
    push_until_done(invoice)
    note = agreed(ada, ben, invoice, "800.00", kind=None)
    assert push(note)
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_outside_stripe) == ("paid", False)
    assert balances() == {"overage_revenue": 800, "unbilled_receivable": -800}


def test_the_database_refuses_as_well(issued: Invoice, ada: APIClient, ben: APIClient) -> None:
    note = agreed(ada, ben, issued, "500.00")
    rows = CreditNote.objects.filter(pk=note.pk)
    for change in (
        {"total_cents": 1}, {"decided_by": "ada"}, {"state": "requested"}, {"refund_cents": 7},
    ):  # fmt: skip
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        note.pk = "11111111-1111-1111-1111-111111111111"
        note.total_cents = note.receivable_cents = 3_350_000
        note.save(force_insert=True)
    assert CreditNote.objects.count() == 1


def test_an_uncollectible_invoice_writes_off_what_credit_notes_left(
    stripe_world: StripeSimulator, acme: Customer, ada: APIClient, ben: APIClient
) -> None:
    invoice = cast.make_invoice(acme, cast.line(80_000, LineKind.OVERAGE))
    push_until_done(invoice)
    invoice.refresh_from_db()
    push(agreed(ada, ben, invoice, "300.00"))
    stripe_world.client().v1.invoices.mark_uncollectible(invoice.stripe_id)
    invoice_sync.sync_invoice(invoice_id=invoice.pk, now=cast.NOW + timedelta(days=60))
    assert balances()["bad_debt"] == 500
    assert "accounts_receivable" not in balances()
