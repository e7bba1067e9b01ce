"""Invoice lines and the invoice items behind them: add, update, remove, list, sweep.

Every line has one invoice item. Items swept in from the customer's pending ones come first, newest
first; lines added later follow in the order in which they were added, as Stripe documents it.
"""

from __future__ import annotations

from typing import Any

from .call import Call
from .errors import invalid, no_such, not_editable
from .invoice_shape import lines_url, save_and_tell, show, total_up
from .line_shape import LINE_FIELDS, assign, new_item, new_line
from .listing import page_of
from .metadata import merge
from .store import Json

MAX_ITEMS = 250


def editable(call: Call, invoice_id: str, *, param: str, status: int = 404) -> Json:
    """The draft; a finalized invoice is refused."""
    invoice = call.get("invoice", invoice_id, param=param, status=status)
    if invoice["status"] != "draft":
        raise not_editable("This invoice is no longer editable")
    return invoice


def attach(call: Call, invoice: Json, items: list[Json], *, swept: bool = False) -> None:
    """Put items on a draft as lines, in this order; the caller saves the invoice."""
    count = int(
        call.store.rows(
            "SELECT COUNT(*) FROM objects WHERE kind = 'line_item' AND invoice = ?", invoice["id"]
        )[0][0]
    )
    if count + len(items) > MAX_ITEMS:
        raise invalid(f"You can only add up to {MAX_ITEMS} invoice items to an invoice.")
    for item in items:
        if item["currency"] != invoice["currency"]:
            raise invalid(
                f"The invoice item's currency ({item['currency']}) does not match the invoice's "
                f"({invoice['currency']}).",
                param="currency",
            )
        item["invoice"] = invoice["id"]
        call.store.save(item)
        call.store.add(new_line(item, swept=swept))
    total_up(call, invoice)


def pending(call: Call, customer: str, currency: str) -> list[Json]:
    """The customer's items that stand on no invoice, newest first."""
    return call.store.select(
        "invoiceitem",
        "customer = ? AND invoice IS NULL AND json_extract(body, '$.currency') = ?",
        customer,
        currency,
        order="DESC",
    )


def sweep_pending(call: Call, invoice: Json) -> None:
    """Take the customer's pending items onto a new draft."""
    items = pending(call, invoice["customer"], invoice["currency"])
    attach(call, invoice, items[:MAX_ITEMS], swept=True)


def release(call: Call, invoice: Json) -> None:
    """Empty a draft that is deleted: swept items are pending again, the others go."""
    for line in call.store.select("line_item", "invoice = ?", invoice["id"]):
        drop(call, line, keep_item=line["_swept"])


def drop(call: Call, line: Json, *, keep_item: bool) -> None:
    """Take a line off its invoice."""
    item = call.get("invoiceitem", item_of(line), param="invoiceitem")
    if keep_item:
        call.store.save({**item, "invoice": None})
    else:
        call.store.remove(item["id"])
    call.store.remove(line["id"])


def item_of(line: Json) -> str:
    """The id of the item behind a line."""
    return str(line["parent"]["invoice_item_details"]["invoice_item"])


def find(call: Call, invoice: Json, line_id: str, *, param: str, status: int = 400) -> Json:
    """A line of this invoice."""
    line = call.store.find("line_item", line_id)
    if line is None or line["invoice"] != invoice["id"]:
        raise no_such("invoice line item", line_id, param=param, status=status)
    return line


def refuse_unsupported(lines: list[Json], supported: set[str]) -> None:
    """What Stripe would accept on a line and the simulator would silently forget is refused."""
    for index, line in enumerate(lines):
        for name in sorted(set(line) - supported):
            raise invalid(
                f"The simulator does not offer lines[{index}][{name}].",
                param=f"lines[{index}][{name}]",
            )


def add(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/add_lines."""
    sent: list[Json] = call.params["lines"]
    refuse_unsupported(sent, LINE_FIELDS | {"invoice_item"})
    invoice = editable(call, call.path["invoice"], param="invoice")
    before = show(call, invoice)
    items = []
    for index, params in enumerate(sent):
        if "invoice_item" in params:
            items.append(pending_item(call, invoice, params["invoice_item"], index))
        else:
            item = new_item(call, invoice["customer"], invoice["currency"], params)
            items.append(call.store.add(item))
    attach(call, invoice, items)
    return finish(call, invoice, before)


def pending_item(call: Call, invoice: Json, id_: str, index: int) -> Json:
    """A pending item of the invoice's customer, to be assigned to it."""
    param = f"lines[{index}][invoice_item]"
    item = call.get("invoiceitem", id_, param=param, status=400)
    if item["invoice"] is not None or item["customer"] != invoice["customer"]:
        raise invalid("The invoice item is not a pending item of this customer.", param=param)
    return item


def finish(call: Call, invoice: Json, before: Json) -> Json:
    """Totals and `invoice_metadata` after a change of lines, then store and tell."""
    if "invoice_metadata" in call.params:
        sent: Any = call.params["invoice_metadata"]
        invoice["metadata"] = merge(invoice["metadata"], sent, param="invoice_metadata")
    total_up(call, invoice)
    return save_and_tell(call, invoice, before)


def change(call: Call, line: Json, params: Json) -> Json:
    """Update a line and the item behind it."""
    item = call.get("invoiceitem", item_of(line), param="invoiceitem")
    assign(item, params)
    call.store.save(item)
    assign(line, params)
    return call.store.save(line)


def update(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/update_lines."""
    sent: list[Json] = call.params["lines"]
    refuse_unsupported(sent, LINE_FIELDS | {"id"})
    invoice = editable(call, call.path["invoice"], param="invoice")
    before = show(call, invoice)
    for index, params in enumerate(sent):
        change(call, find(call, invoice, params["id"], param=f"lines[{index}][id]"), params)
    return finish(call, invoice, before)


def remove(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/remove_lines."""
    invoice = editable(call, call.path["invoice"], param="invoice")
    before = show(call, invoice)
    for index, params in enumerate(call.params["lines"]):
        line = find(call, invoice, params["id"], param=f"lines[{index}][id]")
        drop(call, line, keep_item=params["behavior"] == "unassign")
    return finish(call, invoice, before)


def update_one(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/lines/{line_item_id}."""
    invoice = editable(call, call.path["invoice"], param="invoice")
    before = show(call, invoice)
    id_ = call.path["line_item_id"]
    line = find(call, invoice, id_, param="line_item_id", status=404)
    changed = change(call, line, call.params)
    finish(call, invoice, before)
    return changed


def list_(call: Call) -> Json:
    """GET /v1/invoices/{invoice}/lines."""
    invoice = call.get("invoice", call.path["invoice"], param="invoice")
    bodies = call.store.select("line_item", "invoice = ?", invoice["id"])
    return page_of(call, "invoice line item", lines_url(invoice["id"]), bodies)
