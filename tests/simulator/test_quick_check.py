"""The quick check and jsonschema agree, on what the simulator makes and on what is damaged."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.stripe_simulator import StripeSimulator
from tests.stripe_simulator.quick_check import compile_check

from .conftest import new_invoice

JUNK: list[Any] = [None, "", "x" * 6_000, 3, -1.5, True, [], {}, {"id": "x"}, ["x"]]


def damage(dice: random.Random, value: Any) -> Any:
    """The same value with one thing wrong (or oddly right) somewhere inside."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        if dice.random() < 0.15:
            return {name: inner for name, inner in value.items() if name != key}
        if dice.random() < 0.1:
            return {**value, "surplus": 1}
        return {**value, key: damage(dice, value[key])}
    if isinstance(value, list) and value and dice.random() < 0.8:
        return [damage(dice, value[0]), *value[1:]]
    return dice.choice(JUNK)


@pytest.mark.parametrize("kind", ["invoice", "customer", "credit_note", "event"])
def test_same_verdict_as_jsonschema(world: StripeSimulator, kind: str) -> None:
    client = world.client()
    invoice = client.v1.invoices.finalize_invoice(new_invoice(client, 600, 400).id)
    client.v1.credit_notes.create({"invoice": invoice.id, "amount": 5})
    customer, note = str(invoice.customer), client.v1.credit_notes.list().data[0].id
    event = client.v1.events.list().data[0].id
    path = {
        "invoice": f"invoices/{invoice.id}?expand[]=customer",
        "customer": f"customers/{customer}",
        "credit_note": f"credit_notes/{note}",
        "event": f"events/{event}",
    }[kind]
    whole = json.loads(client.raw_request("get", f"/v1/{path}").body)
    draft = world.service.spec.draft_7({"$ref": f"#/components/schemas/{kind}"})
    accepts, slow = compile_check(draft), Draft7Validator(draft)
    assert accepts(whole) and slow.is_valid(whole)
    dice = random.Random(kind)  # noqa: S311
    verdicts = set()
    for _ in range(400):
        damaged = damage(dice, copy.deepcopy(whole))
        verdict = accepts(damaged)
        assert verdict == slow.is_valid(damaged), damaged
        verdicts.add(verdict)
    assert verdicts == {True, False}
