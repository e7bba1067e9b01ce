"""Lists are newest first, in pages with cursors both ways; embedded lines stop at ten."""

from __future__ import annotations

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice


def test_pages_of_invoices(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({}).id
    ids = [new_invoice(client, customer=customer).id for _ in range(7)][::-1]
    new_invoice(client)
    first = client.v1.invoices.list({"customer": customer, "limit": 3})
    assert ([i.id for i in first.data], first.has_more) == (ids[:3], True)
    second = client.v1.invoices.list({"customer": customer, "limit": 3, "starting_after": ids[2]})
    assert ([i.id for i in second.data], second.has_more) == (ids[3:6], True)
    back = client.v1.invoices.list({"customer": customer, "limit": 2, "ending_before": ids[3]})
    assert ([i.id for i in back.data], back.has_more) == (ids[1:3], True)
    assert [invoice.id for invoice in first.auto_paging_iter()] == ids
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.invoices.list({"starting_after": "in_nothing"})
    assert refused.value.param == "starting_after"
    for limit in (0, 101):
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.invoices.list({"limit": limit})


def test_filters(world: StripeSimulator, client: stripe.StripeClient) -> None:
    old = new_invoice(client, 1_000)
    world.advance(hours=2)
    new = client.v1.invoices.finalize_invoice(new_invoice(client, 1_000).id)
    since = client.v1.invoices.list({"created": {"gte": old.created + 3_600}})
    assert [invoice.id for invoice in since.data] == [new.id]
    assert [i.id for i in client.v1.invoices.list({"status": "draft"}).data] == [old.id]
    assert [i.id for i in client.v1.invoices.list({"status": "open"}).data] == [new.id]


def test_lines_beyond_the_first_ten(client: stripe.StripeClient) -> None:
    invoice = new_invoice(client, *range(1, 24))
    assert [line.amount for line in invoice.lines.data] == list(range(1, 11))
    assert invoice.lines.has_more
    page = client.v1.invoices.line_items.list(invoice.id, {"limit": 10})
    assert [line.amount for line in page.auto_paging_iter()] == list(range(1, 24))
