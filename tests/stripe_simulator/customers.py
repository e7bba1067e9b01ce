"""Customers: create, retrieve, update, delete, list. Owns their fields; balances are `balances`."""

from __future__ import annotations

from typing import Any

from . import balances
from .amounts import MINIMUM_CHARGE_CENTS
from .call import Call, given
from .errors import invalid
from .listing import Filter, page
from .metadata import merge
from .store import Json, new_id

PLAIN = ("description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")
OPTIONAL = ("business_name", "individual_name")
NUMBERING = ("invoice_prefix", "next_invoice_sequence")
CREATES = {*PLAIN, *OPTIONAL, *NUMBERING, "address", "balance", "metadata", "invoice_settings"}
ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
INVOICE_SETTINGS = ("custom_fields", "default_payment_method", "footer")


def checked_currency(currency: str) -> str:
    """The currency in lower case; refused when the simulator has no minimum charge for it."""
    if currency.lower() not in MINIMUM_CHARGE_CENTS:
        supported = ", ".join(sorted(MINIMUM_CHARGE_CENTS))
        raise invalid(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: "
            f"{supported}",
            param="currency",
        )
    return currency.lower()


def create(call: Call) -> Json:
    """POST /v1/customers."""
    id_ = new_id("cus")
    customer: Json = {
        "id": id_,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": new_id("p")[2:10].upper(),
        "invoice_settings": {**dict.fromkeys(INVOICE_SETTINGS), "rendering_options": None},
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    assign(customer, call.params)
    call.store.add(customer)
    balance = call.params.get("balance", 0)
    if balance:
        customer["currency"] = customer["currency"] or "usd"
        balances.move(call, customer, balance, "adjustment")
    call.emit("customer.created", customer)
    return customer


def assign(customer: Json, params: Json) -> None:
    """Write the parameters onto the customer."""
    customer.update(given(params, *PLAIN))
    for name, value in given(params, *OPTIONAL, *NUMBERING).items():
        if value is None:
            customer.pop(name, None)
        else:
            customer[name] = value
    customer["preferred_locales"] = customer["preferred_locales"] or []
    customer["tax_exempt"] = customer["tax_exempt"] or "none"
    if "address" in params:
        customer["address"] = merged(customer["address"], params["address"], ADDRESS)
    if isinstance(customer["shipping"], dict) and isinstance(customer["shipping"]["address"], dict):
        customer["shipping"]["address"] = merged(None, customer["shipping"]["address"], ADDRESS)
    settings = params.get("invoice_settings", {})
    unknown = set(settings) - set(INVOICE_SETTINGS)
    if unknown:
        raise invalid(f"The simulator does not offer invoice_settings {sorted(unknown)}")
    customer["invoice_settings"].update(given(settings, *INVOICE_SETTINGS))
    if "metadata" in params:
        customer["metadata"] = merge(customer["metadata"], params["metadata"])


def merged(old: Json | None, new: Any, names: tuple[str, ...]) -> Json | None:
    """A nested object after an update, every field there."""
    if new == "":
        return None
    return {**dict.fromkeys(names), **(old or {}), **given(new, *names)}


def retrieve(call: Call) -> Json:
    """GET /v1/customers/{customer}; a deleted customer is still shown, as deleted."""
    customer = call.get("customer", call.path["customer"], param="id")
    return deleted(customer) if customer.get("_deleted") else customer


def alive(call: Call, id_: str, *, param: str, status: int = 404) -> Json:
    """The customer, refused when it was deleted."""
    customer = call.get("customer", id_, param=param, status=status)
    if customer.get("_deleted"):
        raise invalid(f"No such customer: '{id_}'", param=param, code="resource_missing")
    return customer


def update(call: Call) -> Json:
    """POST /v1/customers/{customer}."""
    customer = alive(call, call.path["customer"], param="id")
    before = call.get("customer", customer["id"], param="id")
    assign(customer, call.params)
    target = call.params.get("balance", customer["balance"])
    if target != customer["balance"]:
        customer["currency"] = customer["currency"] or "usd"
        balances.move(call, customer, target - customer["balance"], "adjustment")
    call.store.save(customer)
    if customer != before:
        call.emit("customer.updated", customer, before)
    return customer


def delete(call: Call) -> Json:
    """DELETE /v1/customers/{customer}."""
    customer = alive(call, call.path["customer"], param="id")
    call.store.save({**customer, "_deleted": True})
    call.emit("customer.deleted", customer)
    return deleted(customer)


def deleted(customer: Json) -> Json:
    """How a deleted customer is shown."""
    return {"id": customer["id"], "object": "customer", "deleted": True}


def list_(call: Call) -> Json:
    """GET /v1/customers."""
    filters = Filter(call.params).moment("created")
    filters.add("json_extract(body, '$._deleted') IS NULL")
    filters.equal("email", "json_extract(body, '$.email')")
    return page(call, "customer", "/v1/customers", filters)


def use_currency(call: Call, customer: Json, currency: str) -> None:
    """A customer takes the currency of the first thing billed."""
    if customer["currency"] is None:
        before = dict(customer)
        customer["currency"] = currency
        call.store.save(customer)
        call.emit("customer.updated", customer, before)
