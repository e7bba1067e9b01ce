"""`expand[]`: ids replaced by the objects that they name, one level at a time.

Offers what a billing service asks for (customer, invoice, payments, credit note, balance
transaction); anything else is refused loudly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import credit_note_shape, customers, invoice_shape, payments
from .call import Call
from .errors import invalid
from .store import Json

INCLUDED = {"lines"}


def plain(call: Call, body: Json) -> Json:
    """An object that needs nothing computed."""
    return body


def customer(call: Call, body: Json) -> Json:
    """A customer, or that it was deleted."""
    return customers.deleted(body) if body.get("_deleted") else body


def credit_note(call: Call, body: Json) -> Json:
    """A note with its lines."""
    return credit_note_shape.shown_note(body)


SHOWS: dict[str, Callable[[Call, Json], Json]] = {
    "customer": customer,
    "invoice": invoice_shape.show,
    "credit_note": credit_note,
    "customer_balance_transaction": plain,
}


def expand(call: Call, body: Json, paths: list[str]) -> Json:
    """The answer with every path expanded."""
    for path in paths:
        body = step(call, body, path.split("."), path)
    return body


def step(call: Call, body: Any, names: list[str], path: str) -> Any:
    """Follow a path down from one object (or from every object of a list)."""
    if not names:
        return body
    if isinstance(body, list):
        return [step(call, inner, names, path) for inner in body]
    if not isinstance(body, dict):
        return body
    name, rest = names[0], names[1:]
    if body.get("object") == "invoice" and name == "payments" and "payments" not in body:
        body = {**body, "payments": payments.of_invoice(call, body["id"])}
    if name not in body:
        raise refused(path)
    value = body[name]
    if isinstance(value, str):
        found = call.store.any_kind(value)
        if found is None or found["object"] not in SHOWS:
            raise refused(path)
        value = SHOWS[found["object"]](call, found)
    elif not rest and name not in (*INCLUDED, "payments") and value is not None:
        raise refused(path)
    return {**body, name: step(call, value, rest, path)}


def refused(path: str) -> Exception:
    """Stripe's words for a path that cannot be expanded."""
    return invalid(f"This property cannot be expanded ({path}).", param="expand")
