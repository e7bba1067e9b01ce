"""Webhooks are signed, arrive at least once, and go wrong only as ordered."""

from __future__ import annotations

import time

import stripe

from tests.stripe_simulator import StripeSimulator
from tests.stripe_simulator.deliveries import REORDER_HOLD_SECONDS

from .conftest import Inbox, new_invoice


def wait_until(condition: object, seconds: float = 5) -> None:
    """Poll a callable."""
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_signed_and_in_stripes_shape(hooked: StripeSimulator, inbox: Inbox) -> None:
    client = hooked.client()
    invoice = client.v1.invoices.finalize_invoice(
        new_invoice(client, 1_000).id, {}, {"idempotency_key": "close-1"}
    )
    hooked.wait_for_deliveries()
    event = next(event for event in inbox.events() if event.type == "invoice.finalized")
    assert event.id.startswith("evt_") and event.api_version == stripe.api_version
    assert event.request is not None and event.request.idempotency_key == "close-1"
    assert event.data.object["id"] == invoice.id and event.data.object["status"] == "open"
    assert client.v1.events.retrieve(event.id).pending_webhooks == 0


def test_retried_until_accepted(hooked: StripeSimulator, inbox: Inbox) -> None:
    inbox.statuses = [500, 503]
    hooked.webhooks(retry_seconds=0.05)
    hooked.client().v1.customers.create({})
    hooked.wait_for_deliveries()
    assert inbox.types() == ["customer.created"] * 3
    assert len({event.id for event in inbox.events()}) == 1


def test_duplicated_dropped_paused(hooked: StripeSimulator, inbox: Inbox) -> None:
    client = hooked.client()
    hooked.webhooks(duplicates=2)
    client.v1.customers.create({})
    hooked.wait_for_deliveries()
    assert len(inbox.received) == 3

    hooked.webhooks(duplicates=0, drop=1)
    client.v1.customers.create({})
    hooked.wait_for_deliveries()
    assert len(inbox.received) == 3
    lost = client.v1.events.list({"delivery_success": False}).data
    assert [(event.type, event.pending_webhooks) for event in lost] == [("customer.created", 1)]
    assert hooked.deliveries.resend() == 1
    hooked.wait_for_deliveries()
    assert client.v1.events.list({"delivery_success": False}).data == []

    hooked.webhooks(paused=True)
    client.v1.customers.create({})
    time.sleep(0.3)
    assert len(inbox.received) == 4
    hooked.webhooks(paused=False)
    wait_until(lambda: len(inbox.received) == 5)


def test_delayed_and_reordered(hooked: StripeSimulator, inbox: Inbox) -> None:
    client = hooked.client()
    hooked.webhooks(delay_seconds=0.4)
    client.v1.customers.create({})
    time.sleep(0.2)
    assert inbox.received == []
    hooked.wait_for_deliveries()
    inbox.received.clear()
    # Held until all are old enough to go out together, however slow the machine is.
    hooked.webhooks(delay_seconds=0, reorder=True, paused=True)
    invoice = new_invoice(client, 1_000)
    client.v1.invoices.finalize_invoice(invoice.id)
    time.sleep(REORDER_HOLD_SECONDS)
    hooked.webhooks(reorder=True, paused=False)
    hooked.wait_for_deliveries()
    types = inbox.types()
    assert types.index("invoice.finalized") < types.index("invoice.created")


def test_endpoints_of_the_api(world: StripeSimulator, inbox: Inbox) -> None:
    client = world.client()
    version = stripe.api_version
    endpoint = client.v1.webhook_endpoints.create(
        {"url": inbox.url, "enabled_events": ["invoice.paid"], "api_version": version}  # type: ignore[typeddict-item]
    )
    assert endpoint.secret is not None and endpoint.secret.startswith("whsec_")
    assert getattr(client.v1.webhook_endpoints.retrieve(endpoint.id), "secret", None) is None
    client.v1.invoices.finalize_invoice(new_invoice(client).id)
    world.wait_for_deliveries()
    [(payload, header)] = inbox.received
    event = client.construct_event(payload, header, endpoint.secret)
    assert event.type == "invoice.paid"
    client.v1.webhook_endpoints.delete(endpoint.id)
    assert client.v1.webhook_endpoints.list().data == []


def test_events_are_listed_for_thirty_days(
    world: StripeSimulator, client: stripe.StripeClient
) -> None:
    client.v1.invoices.finalize_invoice(new_invoice(client).id)
    types = ["invoice.paid", "invoice.finalized"]
    found = client.v1.events.list({"types": types})
    assert [event.type for event in found.data] == types
    newer = client.v1.events.list({"ending_before": found.data[1].id, "types": types})
    assert [event.type for event in newer.data] == ["invoice.paid"]
    world.advance(hours=31 * 24)
    assert client.v1.events.list().data == []
