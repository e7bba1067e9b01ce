"""Invoices: create, retrieve, update, delete, list. Owns drafts' fields; the rest of an invoice's
life is `invoice_life`, its lines are `lines`, what it looks like is `invoice_shape`.
"""

from __future__ import annotations

from typing import Any

from . import lines
from .call import Call, given
from .customers import alive, checked_currency, use_currency
from .errors import exclusive, invalid, missing, not_editable
from .invoice_shape import new_draft, save_and_tell, show
from .listing import Filter, page
from .metadata import merge
from .store import Json

DAY = 86_400
HOUR = 3_600
SENDING = ("days_until_due", "due_date")
PLAIN = (
    "custom_fields", "default_payment_method", "description", "effective_at", "footer", "number",
    "statement_descriptor",
)  # fmt: skip
UPDATES = {
    *PLAIN, *SENDING, "auto_advance", "automatic_tax", "collection_method", "metadata",
    "payment_settings", "automatically_finalizes_at",
}  # fmt: skip
CREATES = UPDATES | {"currency", "customer", "pending_invoice_items_behavior"}
LISTS = {"collection_method", "created", "customer", "due_date", "status"}
EDITABLE_AFTER_FINALIZATION = {"auto_advance", "metadata", "default_payment_method"}


def create(call: Call) -> Json:
    """POST /v1/invoices."""
    params = call.params
    if "customer" not in params:
        raise missing("customer")
    customer = alive(call, params["customer"], param="customer", status=400)
    currency = checked_currency(params.get("currency") or customer["currency"] or "usd")
    use_currency(call, customer, currency)
    invoice = new_draft(call, customer, currency)
    assign(call, invoice, params)
    if invoice["collection_method"] == "send_invoice" and invoice["due_date"] is None:
        raise invalid(
            "If invoice.collection_method=send_invoice, you must specify either days_until_due or "
            "due_date.",
            param="days_until_due",
        )
    call.store.add(invoice)
    if params.get("pending_invoice_items_behavior") == "include":
        lines.sweep_pending(call, invoice)
    shown = show(call, call.store.save(invoice))
    call.emit("invoice.created", shown)
    return shown


def assign(call: Call, invoice: Json, params: Json) -> None:
    """Write the parameters onto the draft."""
    invoice.update(given(params, *PLAIN))
    if "metadata" in params:
        invoice["metadata"] = merge(invoice["metadata"], params["metadata"])
    if params.get("automatic_tax", {}).get("enabled"):
        raise invalid("The simulator does not compute taxes.", param="automatic_tax[enabled]")
    settings = params.get("payment_settings", {})
    if set(settings) - {"payment_method_types"}:
        raise invalid("The simulator offers only payment_settings[payment_method_types].")
    invoice["payment_settings"].update(given(settings, "payment_method_types"))
    invoice["collection_method"] = params.get("collection_method", invoice["collection_method"])
    if invoice["collection_method"] != "send_invoice":
        for name in SENDING:
            if name in params:
                raise invalid(
                    f"You can only specify `{name}` if `collection_method` is `send_invoice`.",
                    param=name,
                )
        invoice["due_date"] = None
    assign_due_date(invoice, params)
    assign_advance(call, invoice, params)


def assign_due_date(invoice: Json, params: Json) -> None:
    """The moment payment is due; days count from creation."""
    if "days_until_due" in params and "due_date" in params:
        raise exclusive("days_until_due", "due_date")
    if "days_until_due" in params:
        days = params["days_until_due"]
        if days < 0:
            raise invalid("This value must be greater than or equal to 0.", param="days_until_due")
        invoice["due_date"] = invoice["created"] + days * DAY
    elif "due_date" in params:
        if params["due_date"] < invoice["created"]:
            raise invalid("The due date must be in the future.", param="due_date")
        invoice["due_date"] = params["due_date"]


def assign_advance(call: Call, invoice: Json, params: Json) -> None:
    """Automatic collection: a draft then finalizes itself an hour later."""
    invoice["auto_advance"] = params.get("auto_advance", invoice["auto_advance"])
    if invoice["status"] != "draft":
        return
    if not invoice["auto_advance"]:
        invoice["automatically_finalizes_at"] = None
    elif "automatically_finalizes_at" in params:
        invoice["automatically_finalizes_at"] = params["automatically_finalizes_at"]
    elif invoice["automatically_finalizes_at"] is None:
        invoice["automatically_finalizes_at"] = call.now + HOUR


def stored(call: Call, *, name: str = "invoice") -> Json:
    """The stored invoice that the path names."""
    return call.get("invoice", call.path[name], param="invoice")


def retrieve(call: Call) -> Json:
    """GET /v1/invoices/{invoice}."""
    return show(call, stored(call))


def update(call: Call) -> Json:
    """POST /v1/invoices/{invoice}: all of a draft, little of a finalized invoice."""
    invoice = stored(call)
    before = show(call, invoice)
    frozen = set(call.params) - EDITABLE_AFTER_FINALIZATION - {"expand"}
    if invoice["status"] != "draft" and frozen:
        raise not_editable("Finalized invoices can't be updated in this way")
    changed = {**invoice, "payment_settings": dict(invoice["payment_settings"])}
    assign(call, changed, call.params)
    return save_and_tell(call, changed, before)


def delete(call: Call) -> Json:
    """DELETE /v1/invoices/{invoice}: drafts only; swept items become pending again."""
    invoice = stored(call)
    if invoice["status"] != "draft":
        raise not_editable("You can only delete draft invoices.")
    shown = show(call, invoice)
    lines.release(call, invoice)
    call.store.remove(invoice["id"])
    call.emit("invoice.deleted", shown)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


def list_(call: Call) -> Json:
    """GET /v1/invoices."""
    filters = Filter(call.params).moment("created").equal("customer").equal("status", "state")
    filters.moment("due_date", "json_extract(body, '$.due_date')")
    filters.equal("collection_method", "json_extract(body, '$.collection_method')")

    def shown(invoice: Json) -> Any:
        return show(call, invoice)

    return page(call, "invoice", "/v1/invoices", filters, shown)
