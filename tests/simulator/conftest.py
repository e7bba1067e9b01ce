"""A simulator in memory, the real library's client on it, and an inbox for its webhooks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

SECRET = "whsec_test"


@dataclass
class Inbox:
    """Takes webhooks; answers with `statuses` first, then 200."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def events(self) -> list[stripe.Event]:
        """What came, each verified by the library itself."""
        return [
            stripe.Webhook.construct_event(payload, header, SECRET)
            for payload, header in self.received
        ]

    def types(self) -> list[str]:
        """The types of what came, in order of arrival."""
        return [event.type for event in self.events()]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    box = Inbox()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            payload = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status = box.statuses.pop(0) if box.statuses else 200
            box.received.append((payload, self.headers["Stripe-Signature"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    box.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    yield box
    server.shutdown()
    server.server_close()


@pytest.fixture
def world() -> Iterator[StripeSimulator]:
    """A simulator without webhooks; every test ends with no answer against Stripe's document."""
    with StripeSimulator() as simulator:
        yield simulator
        assert simulator.violations() == []


@pytest.fixture
def hooked(inbox: Inbox) -> Iterator[StripeSimulator]:
    """A simulator that delivers to the inbox."""
    with StripeSimulator(webhook_url=inbox.url, webhook_secret=SECRET) as simulator:
        yield simulator
        assert simulator.violations() == []


@pytest.fixture
def client(world: StripeSimulator) -> stripe.StripeClient:
    return world.client()


def new_invoice(client: stripe.StripeClient, *amounts: int, **more: Any) -> stripe.Invoice:
    """A draft for a new customer (or `customer=`) with one line for each amount."""
    customer = more.pop("customer", None) or client.v1.customers.create({"name": "Acme"}).id
    params: Any = {
        "customer": customer,
        "currency": "usd",
        "collection_method": "send_invoice",
        "days_until_due": 30,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        **more,
    }
    invoice = client.v1.invoices.create(params)
    if not amounts:
        return invoice
    lines: Any = [
        {"amount": amount, "description": f"line {place}", "metadata": {"place": str(place)}}
        for place, amount in enumerate(amounts)
    ]
    return client.v1.invoices.add_lines(invoice.id, {"lines": lines})
