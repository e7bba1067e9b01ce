"""One key, one answer: replayed, compared, refused while in flight, forgotten after 24 hours."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice


def test_same_key_replays(world: StripeSimulator, client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    again = client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    assert again.id == first.id and len(world.objects("customer")) == 1
    assert again.last_response is not None and first.last_response is not None
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert [entry["outcome"] for entry in world.log()] == ["executed", "replayed"]


def test_same_key_for_something_else(world: StripeSimulator, client: stripe.StripeClient) -> None:
    client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError, match="same parameters"):
        client.v1.customers.create({"name": "Bolt"}, {"idempotency_key": "k"})
    with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
        client.v1.invoices.create({"customer": "cus_x"}, {"idempotency_key": "k"})
    assert len(world.objects("customer")) == 1


def test_concurrent_use_of_a_key(world: StripeSimulator, client: stripe.StripeClient) -> None:
    world.fault("delay", path="/v1/customers", seconds=0.5)
    outcomes: list[Any] = []

    def create() -> None:
        try:
            outcomes.append(client.v1.customers.create({}, {"idempotency_key": "k"}).id)
        except stripe.StripeError as error:
            outcomes.append((error.http_status, error.error and error.error.code))

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count((409, "idempotency_key_in_use")) == 3
    assert len(world.objects("customer")) == 1


def test_key_is_forgotten_after_a_day(world: StripeSimulator, client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({}, {"idempotency_key": "k"})
    world.advance(hours=23.9)
    assert client.v1.customers.create({}, {"idempotency_key": "k"}).id == first.id
    world.advance(hours=0.2)
    second = client.v1.customers.create({}, {"idempotency_key": "k"})
    assert second.id != first.id and second.created >= first.created + 24 * 3600


def test_stored_500_is_replayed(world: StripeSimulator, client: stripe.StripeClient) -> None:
    world.fault("error_500", method="POST", path="/v1/customers")
    for _ in range(2):
        with pytest.raises(stripe.APIError) as failed:
            client.v1.customers.create({}, {"idempotency_key": "k"})
        assert failed.value.http_status == 500
    assert world.objects("customer") == []
    assert client.v1.customers.create({}, {"idempotency_key": "k2"}).id


def test_500_after_the_effect_keeps_the_effect(
    world: StripeSimulator, client: stripe.StripeClient
) -> None:
    world.fault("error_500_after", path="/v1/customers")
    with pytest.raises(stripe.APIError):
        client.v1.customers.create({"name": "Acme"}, {"idempotency_key": "k"})
    assert [customer["name"] for customer in world.objects("customer")] == ["Acme"]


def test_refusal_in_execution_is_stored_and_before_it_is_not(client: stripe.StripeClient) -> None:
    wrong: Any = {"colour": "red"}
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create(wrong, {"idempotency_key": "k"})
    assert client.v1.customers.create({}, {"idempotency_key": "k"}).id

    draft = new_invoice(client, 100)
    opened = client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin"})
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin2"})
    with pytest.raises(stripe.InvalidRequestError, match="already finalized") as refused:
        client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin2"})
    assert refused.value.headers is not None
    assert refused.value.headers["Idempotent-Replayed"] == "true"
    again = client.v1.invoices.finalize_invoice(draft.id, {}, {"idempotency_key": "fin"})
    assert again.number == opened.number
