"""Customer balances: every change is a balance transaction that records the balance after it.

Positive amounts raise what the customer owes on the next invoice; negative ones are credit.
"""

from __future__ import annotations

from .call import Call
from .errors import invalid
from .listing import Filter, page
from .metadata import merge
from .store import Json, new_id

CREATES = {"amount", "currency", "description", "metadata"}


def move(
    call: Call,
    customer: Json,
    amount: int,
    type_: str,
    *,
    invoice: str | None = None,
    credit_note: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> Json:
    """Change the balance by `amount` cents; the caller emits `customer.updated`."""
    customer["balance"] += amount
    call.store.save(customer)
    return call.store.add(
        {
            "id": new_id("cbtxn"),
            "object": "customer_balance_transaction",
            "amount": amount,
            "checkout_session": None,
            "created": call.now,
            "credit_note": credit_note,
            "currency": customer["currency"],
            "customer": customer["id"],
            "customer_account": None,
            "description": description,
            "ending_balance": customer["balance"],
            "invoice": invoice,
            "livemode": False,
            "metadata": metadata or {},
            "type": type_,
        }
    )


def move_and_tell(
    call: Call,
    customer_id: str,
    amount: int,
    type_: str,
    *,
    invoice: str,
    credit_note: str | None = None,
) -> Json:
    """Change the balance for an invoice or a credit note, and emit `customer.updated`."""
    customer = call.get("customer", customer_id, param="customer")
    before = dict(customer)
    transaction = move(call, customer, amount, type_, invoice=invoice, credit_note=credit_note)
    call.emit("customer.updated", customer, before)
    return transaction


def create(call: Call) -> Json:
    """POST /v1/customers/{customer}/balance_transactions."""
    customer = call.get("customer", call.path["customer"], param="id")
    currency = call.params["currency"].lower()
    if customer["currency"] not in (None, currency):
        raise invalid(
            f"The customer's currency is {customer['currency']}, not {currency}.", param="currency"
        )
    before = dict(customer)
    customer["currency"] = currency
    transaction = move(
        call,
        customer,
        call.params["amount"],
        "adjustment",
        description=call.params.get("description"),
        metadata=merge({}, call.params.get("metadata", {})),
    )
    call.emit("customer.updated", customer, before)
    return transaction


def retrieve(call: Call) -> Json:
    """GET /v1/customers/{customer}/balance_transactions/{transaction}."""
    kind = "customer_balance_transaction"
    return call.get(kind, call.path["transaction"], param="transaction")


def list_(call: Call) -> Json:
    """GET /v1/customers/{customer}/balance_transactions."""
    customer = call.get("customer", call.path["customer"], param="id")["id"]
    filters = Filter(call.params).moment("created").equal("invoice")
    filters.add("customer = ?", customer)
    url = f"/v1/customers/{customer}/balance_transactions"
    return page(call, "customer_balance_transaction", url, filters)
