"""Invoice items: create (pending, or at once on a draft), retrieve, update, delete, list."""

from __future__ import annotations

from . import lines
from .call import Call
from .customers import alive, checked_currency, use_currency
from .errors import invalid, missing, not_editable
from .invoice_shape import save_and_tell, show, total_up
from .line_shape import LINE_FIELDS, assign, new_item
from .listing import Filter, page
from .store import Json

UPDATES = LINE_FIELDS
CREATES = UPDATES | {"currency", "customer", "invoice"}
LISTS = {"created", "customer", "invoice", "pending"}


def create(call: Call) -> Json:
    """POST /v1/invoiceitems."""
    params = call.params
    if "customer" not in params:
        raise missing("customer")
    customer = alive(call, params["customer"], param="customer", status=400)
    invoice = None
    if "invoice" in params:
        invoice = lines.editable(call, params["invoice"], param="invoice", status=400)
        if invoice["customer"] != customer["id"]:
            raise invalid("The invoice belongs to another customer.", param="invoice")
    asked = params.get("currency") or (invoice or customer)["currency"] or "usd"
    currency = checked_currency(asked)
    use_currency(call, customer, currency)
    item = call.store.add(new_item(call, customer["id"], currency, params))
    if invoice is not None:
        before = show(call, invoice)
        lines.attach(call, invoice, [item])
        save_and_tell(call, invoice, before)
    call.emit("invoiceitem.created", item)
    return item


def stored(call: Call) -> Json:
    """The item that the path names."""
    return call.get("invoiceitem", call.path["invoiceitem"], param="invoiceitem")


def retrieve(call: Call) -> Json:
    """GET /v1/invoiceitems/{invoiceitem}."""
    return stored(call)


def line_of(call: Call, item: Json) -> tuple[Json, Json] | None:
    """The draft and the line that an item stands on; a finalized invoice is refused."""
    if item["invoice"] is None:
        return None
    invoice = call.get("invoice", item["invoice"], param="invoice")
    if invoice["status"] != "draft":
        raise not_editable("The invoice item is attached to an invoice that is no longer editable")
    for line in call.store.select("line_item", "invoice = ?", invoice["id"]):
        if lines.item_of(line) == item["id"]:
            return invoice, line
    return None


def update(call: Call) -> Json:
    """POST /v1/invoiceitems/{invoiceitem}."""
    item = stored(call)
    found = line_of(call, item)
    if found is None:
        assign(item, call.params)
        return call.store.save(item)
    invoice, line = found
    before = show(call, invoice)
    lines.change(call, line, call.params)
    total_up(call, invoice)
    save_and_tell(call, invoice, before)
    return stored(call)


def delete(call: Call) -> Json:
    """DELETE /v1/invoiceitems/{invoiceitem}: pending, or on a draft."""
    item = stored(call)
    found = line_of(call, item)
    if found is None:
        call.store.remove(item["id"])
    else:
        invoice, line = found
        before = show(call, invoice)
        lines.drop(call, line, keep_item=False)
        total_up(call, invoice)
        save_and_tell(call, invoice, before)
    call.emit("invoiceitem.deleted", item)
    return {"id": item["id"], "object": "invoiceitem", "deleted": True}


def list_(call: Call) -> Json:
    """GET /v1/invoiceitems."""
    filters = Filter(call.params).moment("created").equal("customer").equal("invoice")
    if "pending" in call.params:
        filters.add("invoice IS NULL" if call.params["pending"] else "invoice IS NOT NULL")
    return page(call, "invoiceitem", "/v1/invoiceitems", filters)
