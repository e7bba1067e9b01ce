"""Whatever is asked in whatever order: no answer breaks Stripe's document, and no cent is lost."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.stripe_simulator import StripeSimulator

from .conftest import new_invoice

STEPS = 150


def one_step(dice: random.Random, client: stripe.StripeClient, customers: list[str]) -> None:
    """One random call; a refusal by the state machine is fine."""
    invoices = client.v1.invoices
    customer = dice.choice(customers)
    amounts = [dice.choice([20, 49, 50, 1_000, -30]) for _ in range(dice.randrange(4))]
    if dice.random() < 0.4:
        new_invoice(client, *amounts, customer=customer, auto_advance=dice.random() < 0.3)
        return
    found = invoices.list({"customer": customer, "limit": 5}).data
    if not found:
        return
    id_ = dice.choice(found).id
    note: Any = {"invoice": id_, "amount": dice.choice([10, 500])}
    item: Any = {"customer": customer, "amount": 70, "currency": "usd", "invoice": id_}
    paid: Any = {"paid_out_of_band": dice.random() < 0.5, "payment_method": "pm_card_visa"}
    credited: Any = {**note, "credit_amount": note["amount"]}
    calls: list[Callable[[], Any]] = [
        lambda: invoices.finalize_invoice(id_),
        lambda: invoices.finalize_invoice(id_, {"auto_advance": True}),
        lambda: invoices.send_invoice(id_),
        lambda: invoices.pay(id_, paid),
        lambda: invoices.void_invoice(id_),
        lambda: invoices.mark_uncollectible(id_),
        lambda: invoices.delete(id_),
        lambda: client.v1.invoice_items.create(item),
        lambda: client.v1.credit_notes.create(note),
        lambda: client.v1.credit_notes.create(credited),
    ]
    dice.choice(calls)()


def walk(seed: int, client: stripe.StripeClient, customers: list[str]) -> Counter[str]:
    """Many steps from one seed."""
    dice, outcomes = random.Random(seed), Counter[str]()  # noqa: S311
    for _ in range(STEPS):
        try:
            one_step(dice, client, customers)
            outcomes["done"] += 1
        except stripe.InvalidRequestError:
            outcomes["refused"] += 1
    return outcomes


def check_books(world: StripeSimulator) -> None:
    """Balances are the sums of their transactions; every invoice's amounts add up."""
    moves = Counter[str]()
    for move in world.objects("customer_balance_transaction"):
        moves[move["customer"]] += move["amount"]
    for customer in world.objects("customer"):
        assert customer["balance"] == moves[customer["id"]]
    numbers = []
    for invoice in world.objects("invoice"):
        if invoice["status"] == "draft":
            continue
        numbers.append(invoice["number"])
        assert invoice["amount_due"] == invoice["amount_paid"] + invoice["amount_remaining"]
        asked = invoice["total"] + invoice["starting_balance"] - invoice["ending_balance"]
        assert invoice["amount_due"] + invoice["pre_payment_credit_notes_amount"] == asked
        if invoice["status"] == "paid":
            assert invoice["amount_remaining"] == 0
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_walk(world: StripeSimulator, client: stripe.StripeClient, seed: int) -> None:
    customers = [client.v1.customers.create({"name": str(place)}).id for place in range(2)]
    outcomes = walk(seed, client, customers)
    assert outcomes["done"] > STEPS / 4 and outcomes["refused"] > 0
    check_books(world)


def test_many_at_once(world: StripeSimulator) -> None:
    customers = [world.client().v1.customers.create({}).id for _ in range(2)]
    with ThreadPoolExecutor(6) as pool:
        walks = [pool.submit(walk, seed, world.client(), customers) for seed in range(6)]
        for done in walks:
            assert done.result()["done"] > 0
    check_books(world)
