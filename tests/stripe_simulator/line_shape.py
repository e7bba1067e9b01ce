"""What an invoice item and the line that shows it look like, and how parameters get onto them."""

from __future__ import annotations

from .call import Call, given
from .errors import invalid, missing
from .metadata import merge
from .store import Json, new_id

LINE_FIELDS = {"amount", "description", "discountable", "metadata", "period"}


def new_item(call: Call, customer: str, currency: str, params: Json) -> Json:
    """An invoice item that stands on no invoice yet."""
    if "amount" not in params:
        raise missing("amount")
    item: Json = {
        "id": new_id("ii"),
        "object": "invoiceitem",
        "amount": 0,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "date": call.now,
        "description": None,
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": {},
        "net_amount": 0,
        "parent": None,
        "period": {"start": call.now, "end": call.now},
        "pricing": None,
        "proration": False,
        "quantity": 1,
        "quantity_decimal": "1",
        "tax_rates": [],
        "test_clock": None,
    }
    assign(item, params)
    return item


def assign(item: Json, params: Json) -> None:
    """Write amount, description, period and metadata onto an item or a line."""
    item.update(given(params, "description", "amount", "discountable"))
    item["net_amount" if item["object"] == "invoiceitem" else "subtotal"] = item["amount"]
    if "metadata" in params:
        item["metadata"] = merge(item["metadata"], params["metadata"])
    if "period" in params:
        if params["period"]["end"] < params["period"]["start"]:
            raise invalid("The period's end must not be before its start.", param="period[end]")
        item["period"] = dict(params["period"])


def new_line(item: Json, *, swept: bool) -> Json:
    """The line that shows an item on its invoice."""
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": item["discountable"],
        "discounts": [],
        "invoice": item["invoice"],
        "livemode": False,
        "metadata": item["metadata"],
        "parent": {
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": None,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "subscription": None,
        "subtotal": item["amount"],
        "taxes": [],
        "_swept": swept,
    }
