"""Lost requests and lost responses: a retry with the same key makes one invoice."""

from __future__ import annotations

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator


@pytest.mark.parametrize("kind", ["drop_request", "drop_response"])
def test_retry_with_the_same_key_makes_one(world: StripeSimulator, kind: str) -> None:
    client = world.client()
    customer = client.v1.customers.create({}).id
    world.fault(kind, method="POST", path="/v1/invoices")
    with pytest.raises(stripe.APIConnectionError):
        client.v1.invoices.create({"customer": customer}, {"idempotency_key": "k"})
    assert len(world.objects("invoice")) == (0 if kind == "drop_request" else 1)
    invoice = client.v1.invoices.create({"customer": customer}, {"idempotency_key": "k"})
    assert [body["id"] for body in world.objects("invoice")] == [invoice.id]
    assert world.log()[1]["outcome"] == ("dropped" + kind.removeprefix("drop"))


def test_the_library_retries_by_itself(world: StripeSimulator) -> None:
    client = world.client(max_network_retries=2)
    customer = client.v1.customers.create({}).id
    world.fault("drop_response", path="/v1/invoices")
    client.v1.invoices.create({"customer": customer})
    assert len(world.objects("invoice")) == 1


def test_rate_limit_is_not_kept(world: StripeSimulator, client: stripe.StripeClient) -> None:
    world.fault("rate_limit", path="/v1/customers", skip=1)
    client.v1.customers.create({}, {"idempotency_key": "k1"})
    with pytest.raises(stripe.RateLimitError):
        client.v1.customers.create({}, {"idempotency_key": "k2"})
    assert client.v1.customers.create({}, {"idempotency_key": "k2"}).id
