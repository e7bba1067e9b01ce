"""Webhooks: forged, twice, out of order, early or never; our invoice only moves forward."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.domain.errors import InvariantViolation
from billing.domain.journal import AccountCode, Scope
from billing.models import Customer, Invoice, JournalEntry, StripeEvent
from billing.services import invoice_sync, ledger, stripe_gateway, webhook_inbox
from tests.billing import cast
from tests.billing.stripe_steps import Killed, killed_at, push, push_until_done
from tests.stripe_simulator import StripeSimulator
from tests.stripe_simulator.deliveries import signature

URL = "/api/v1/webhooks/stripe"
NEW_SECRET = "whsec_new"


@pytest.fixture
def invoice(stripe_world: StripeSimulator, acme: Customer) -> Invoice:
    """Finalized and sent: an instalment of $30,000 for Q2 and $3,500 of overage."""
    made = cast.make_invoice(acme)
    push_until_done(made)
    made.refresh_from_db()
    return made


def deliver(
    event: dict[str, Any], *, secret: str = NEW_SECRET, at: float = 0, body: str | None = None
) -> Any:
    payload = json.dumps(event)
    return APIClient().generic(
        "POST",
        URL,
        body or payload,
        content_type="application/json",
        HTTP_STRIPE_SIGNATURE=signature(payload, secret, int(time.time() + at)),
    )


def events(world: StripeSimulator, *types: str) -> list[dict[str, Any]]:
    return [event for event in world.objects("event") if not types or event["type"] in types]


def apply_all() -> int:
    return webhook_inbox.apply_events(now=cast.NOW)


def codes(invoice: Invoice) -> list[str]:
    entries = JournalEntry.objects.filter(invoice=invoice).order_by("id")
    return list(entries.values_list("code", flat=True))


def balances() -> dict[str, Decimal]:
    return {row.code.value: row.debit - row.credit for row in ledger.trial_balance(as_of=None)}


def test_paid_events_twice_and_in_any_order_pay_once(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.pay(invoice.stripe_id)
    for event in [*reversed(events(stripe_world)), *events(stripe_world)]:
        assert deliver(event).status_code == 200
    assert StripeEvent.objects.count() == len(events(stripe_world))
    apply_all()
    apply_all()
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_outside_stripe) == ("paid", False)
    assert codes(invoice) == ["invoice.issued", "payment.stripe"]
    assert balances()["stripe_clearing"] == 33_500
    assert not StripeEvent.objects.filter(applied_at=None).exists()


def test_paid_outside_stripe_goes_to_the_bank(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.client().v1.invoices.pay(invoice.stripe_id, {"paid_out_of_band": True})
    for event in events(stripe_world, "invoice.paid"):
        deliver(event)
    apply_all()
    invoice.refresh_from_db()
    assert (invoice.state, invoice.paid_outside_stripe) == ("paid", True)
    assert codes(invoice) == ["invoice.issued", "payment.outside_stripe"]
    assert balances()["bank"] == 33_500


def test_what_is_forged_altered_old_or_unsigned_is_refused_and_not_stored(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.pay(invoice.stripe_id)
    (event,) = events(stripe_world, "invoice.paid")
    altered = json.dumps({**event, "type": "invoice.voided"})
    for response in (
        deliver(event, secret="whsec_forged"),
        deliver(event, body=altered),
        deliver(event, at=-301),
        APIClient().post(URL, event, format="json"),
        deliver(event, body="x" * (webhook_inbox.MAX_BYTES + 1)),
    ):
        assert response.status_code == 400
        assert response["Content-Type"] == "application/problem+json"
    assert not StripeEvent.objects.exists()
    assert deliver(event, secret="whsec_old").status_code == 200


def test_an_event_that_overtakes_our_own_record_waits_for_it(
    stripe_world: StripeSimulator, acme: Customer
) -> None:
    made = cast.make_invoice(acme)
    with pytest.raises(Killed), killed_at(7, after=True):
        push(made)
    (remote,) = stripe_world.objects("invoice")
    assert remote["status"] == "open"
    stripe_world.pay(remote["id"])
    for event in events(stripe_world):
        deliver(event)
    apply_all()
    assert StripeEvent.objects.filter(applied_at=None, type="invoice.paid").exists()
    push_until_done(made)
    apply_all()
    made.refresh_from_db()
    assert made.state == "paid"
    assert codes(made) == ["invoice.issued", "payment.stripe"]
    assert not StripeEvent.objects.filter(applied_at=None).exists()


def test_what_never_came_is_found_by_asking(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.pay(invoice.stripe_id)
    stripe_world.fault("drop_request", method="GET", path="/v1/invoices/*", times=3)
    assert webhook_inbox.reconcile_invoices(now=cast.NOW) == 0
    assert webhook_inbox.reconcile_invoices(now=cast.NOW) == 1
    assert webhook_inbox.reconcile_invoices(now=cast.NOW) == 0
    invoice.refresh_from_db()
    assert invoice.state == "paid"


def test_an_event_while_stripe_is_away_is_tried_again(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.pay(invoice.stripe_id)
    (event,) = events(stripe_world, "invoice.paid")
    deliver(event)
    stripe_world.fault("drop_request", method="GET", path="/v1/invoices/*", times=3)
    assert apply_all() == 0
    stored = StripeEvent.objects.get()
    assert (stored.attempts, stored.error[:18]) == (1, "stripe_unreachable")
    assert apply_all() == 1
    invoice.refresh_from_db()
    assert invoice.state == "paid"


def test_voided_by_hand_at_stripe_is_reversed_in_the_books(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.client().v1.invoices.void_invoice(invoice.stripe_id)
    assert webhook_inbox.reconcile_invoices(now=cast.NOW) == 1
    assert codes(invoice) == ["invoice.issued", "invoice.voided"]
    assert balances() == {}


def test_an_uncollectible_invoice_is_written_off_and_may_be_paid_after_all(
    stripe_world: StripeSimulator, invoice: Invoice, acme: Customer
) -> None:
    drawn = cast.usage_entry(acme, "d", "22000", commit_id=invoice.commit_id)
    stays = {1: Decimal(0), 2: Decimal(8_000)}
    ledger.post_entry(entry=drawn, now=cast.NOW)
    client = stripe_world.client()
    client.v1.invoices.mark_uncollectible(invoice.stripe_id)
    webhook_inbox.reconcile_invoices(now=cast.NOW, unused_by_quarter=lambda _: stays)
    webhook_inbox.reconcile_invoices(now=cast.NOW, unused_by_quarter=lambda _: stays)
    after = balances()
    assert after["bad_debt"] == 25_500
    assert "accounts_receivable" not in after
    scope = Scope(acme.pk, invoice.commit_id)
    assert ledger.balance(scope.account(AccountCode.DEFERRED_REVENUE, 2)) == -22_000
    client.v1.invoices.pay(invoice.stripe_id, {"paid_out_of_band": True})
    assert webhook_inbox.reconcile_invoices(now=cast.NOW) == 1
    assert codes(invoice) == [
        "invoice.issued", "invoice.uncollectible", "invoice.uncollectible",
        "payment.outside_stripe",
    ]  # fmt: skip
    assert "bad_debt" not in balances()
    assert balances()["bank"] == 33_500


def test_without_better_knowledge_the_unused_part_is_what_the_books_still_defer(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.client().v1.invoices.mark_uncollectible(invoice.stripe_id)
    webhook_inbox.reconcile_invoices(now=cast.NOW)
    # Nothing of Q2 is drawn yet: only the overage was ever owed for something.
    assert balances() == {"unbilled_receivable": -3_500, "bad_debt": 3_500}


def test_a_contradiction_is_for_a_human_and_changes_nothing(
    stripe_world: StripeSimulator, invoice: Invoice
) -> None:
    stripe_world.pay(invoice.stripe_id)
    webhook_inbox.reconcile_invoices(now=cast.NOW)
    remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
    void = stripe_gateway.RemoteInvoice(
        **{name: getattr(remote, name) for name in remote.__slots__} | {"status": "void"}
    )
    with pytest.raises(InvariantViolation):
        invoice_sync.apply_remote(invoice_id=invoice.pk, remote=void, now=cast.NOW)
    invoice.refresh_from_db()
    assert invoice.state == "paid"
