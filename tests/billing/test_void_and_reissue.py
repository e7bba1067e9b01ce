"""Voiding reverses an unpaid invoice at Stripe and in the books; reissue brings its lines back."""

import pytest
from rest_framework.test import APIClient

from billing.domain.errors import ExternalFailure
from billing.models import AuditEvent, Customer, Invoice, JournalEntry
from billing.services import ledger
from tests.billing import cast
from tests.billing.conftest import Caller
from tests.billing.stripe_steps import (
    Killed,
    assert_issued_once,
    killed_at,
    push,
    push_until_done,
)
from tests.stripe_simulator import StripeSimulator


@pytest.fixture
def finance(stripe_world: StripeSimulator, caller: Caller) -> APIClient:
    return caller(cast.finance_key())


@pytest.fixture
def issued(stripe_world: StripeSimulator, acme: Customer) -> Invoice:
    invoice = cast.make_invoice(acme)
    push_until_done(invoice)
    return invoice


def void(finance: APIClient, invoice: Invoice) -> tuple[int, str]:
    response = finance.post(
        f"/api/v1/invoices/{invoice.pk}/void", {"reason": "wrong address"}, format="json"
    )
    body = response.json()
    return response.status_code, body.get("code") or body["state"]


def test_the_exact_reverse_and_the_same_lines_again(
    stripe_world: StripeSimulator, issued: Invoice, finance: APIClient
) -> None:
    assert void(finance, issued) == (200, "void")
    assert void(finance, issued) == (200, "void")
    assert ledger.trial_balance(as_of=None) == []
    event = AuditEvent.objects.get(action="invoice.voided")
    assert (event.actor_name, event.details["reason"]) == ("ada", "wrong address")
    assert [row["status"] for row in stripe_world.objects("invoice")] == ["void"]

    url = f"/api/v1/invoices/{issued.pk}/reissue"
    again = [finance.post(url).json() for _ in range(2)]
    assert again[0]["id"] == again[1]["id"] != str(issued.pk)
    assert (again[0]["revision"], again[0]["total_cents"]) == (2, issued.total_cents)
    reissued = Invoice.objects.get(pk=again[0]["id"])
    push_until_done(reissued)
    reissued.refresh_from_db()
    assert reissued.state == "finalized"
    assert [row["status"] for row in stripe_world.objects("invoice")] == ["void", "open"]


def test_a_living_invoice_is_not_reissued(issued: Invoice, finance: APIClient) -> None:
    response = finance.post(f"/api/v1/invoices/{issued.pk}/reissue")
    assert (response.status_code, response.json()["code"]) == (409, "invoice_not_void")
    assert Invoice.objects.count() == 1


def test_a_paid_invoice_is_not_voided_also_where_only_stripe_knows(
    stripe_world: StripeSimulator, issued: Invoice, finance: APIClient
) -> None:
    issued.refresh_from_db()
    stripe_world.pay(issued.stripe_id)
    assert void(finance, issued) == (409, "invoice_paid")
    assert void(finance, issued) == (409, "invoice_paid")
    issued.refresh_from_db()
    assert issued.state == "paid"
    assert not AuditEvent.objects.filter(action="invoice.voided").exists()


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7])
def test_a_draft_on_its_way_leaves_nothing_to_pay(
    stripe_world: StripeSimulator, acme: Customer, finance: APIClient, number: int
) -> None:
    invoice = cast.make_invoice(acme)
    with pytest.raises(Killed), killed_at(number, after=True):
        push(invoice)
    assert void(finance, invoice) == (200, "void")
    assert all(row["status"] == "void" for row in stripe_world.objects("invoice"))
    assert not JournalEntry.objects.exists()
    assert push(invoice)
    assert all(row["status"] == "void" for row in stripe_world.objects("invoice"))


def test_void_waits_for_the_push_and_for_stripe(
    stripe_world: StripeSimulator, issued: Invoice, finance: APIClient
) -> None:
    issued.refresh_from_db()
    Invoice.objects.update(push_leased_until="2999-01-01T00:00:00Z")
    assert void(finance, issued) == (409, "invoice_is_being_pushed")
    Invoice.objects.update(push_leased_until=None)
    stripe_world.fault("drop_request", method="POST", path="/v1/invoices/*/void", times=3)
    assert void(finance, issued) == (503, "stripe_unreachable")
    assert_issued_once(issued, stripe_world)
    assert void(finance, issued) == (200, "void")


def test_an_invoice_that_never_left_needs_no_stripe(
    stripe_world: StripeSimulator, acme: Customer, finance: APIClient
) -> None:
    invoice = cast.make_invoice(acme)
    assert void(finance, invoice) == (200, "void")
    assert stripe_world.log() == []


def test_a_refusal_blocks_until_a_human_says_so(
    stripe_world: StripeSimulator, acme: Customer, finance: APIClient
) -> None:
    Customer.objects.update(stripe_customer_id="cus_gone")
    invoice = cast.make_invoice(Customer.objects.get())
    with pytest.raises(ExternalFailure) as failure:
        push(invoice)
    assert failure.value.permanent
    assert not push(invoice)
    invoice.refresh_from_db()
    assert (invoice.push_blocked, invoice.push_error.split(":")[0]) == (True, "stripe_refused")
    Customer.objects.update(stripe_customer_id="")
    response = finance.post(f"/api/v1/invoices/{invoice.pk}/push")
    assert response.status_code == 202
    push_until_done(invoice)
    assert_issued_once(invoice, stripe_world)
