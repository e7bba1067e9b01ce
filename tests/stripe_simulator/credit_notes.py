"""Credit notes: lower what an invoice asks for, or give back what was paid for it.

Owns the split into the part before payment (lowers the amount remaining) and the part after it
(refund, customer balance, outside of Stripe: their sum must be exactly that part).
"""

from __future__ import annotations

from . import balances, payments
from .call import Call, given
from .credit_note_shape import new_line, new_note, new_refund, shown_note
from .errors import invalid, missing
from .invoice_life import settle_paid
from .invoice_shape import save_and_tell, show
from .listing import Filter, page, page_of
from .metadata import merge
from .store import Json

BACK = ("refund_amount", "credit_amount", "out_of_band_amount")
CREATES = {
    *BACK, "invoice", "amount", "lines", "memo", "metadata", "reason", "effective_at", "email_type",
}  # fmt: skip
UPDATES = {"memo", "metadata"}
LISTS = {"created", "customer", "invoice"}
CREDITABLE = ("open", "paid", "uncollectible")


def create(call: Call) -> Json:
    """POST /v1/credit_notes."""
    params = call.params
    invoice = call.named("invoice")
    if invoice["status"] not in CREDITABLE:
        raise invalid(
            "Credit notes can only be created on finalized invoices that are open, paid or "
            f"uncollectible. This invoice is {invoice['status']}.",
            param="invoice",
        )
    before = show(call, invoice)
    lines = new_lines(call, invoice)
    total = sum(line["amount"] for line in lines)
    refuse_excess(call, invoice, total)
    before_payment = min(total, invoice["amount_remaining"])
    after_payment = total - before_payment
    returned = {name: params.get(name, 0) for name in BACK}
    refuse_wrong_split(invoice, after_payment, returned)
    count = len(call.store.select("credit_note", "invoice = ?", invoice["id"])) + 1
    note = new_note(call, invoice, total, count=count, before=before_payment, after=after_payment)
    note["out_of_band_amount"] = returned["out_of_band_amount"] or None
    if returned["refund_amount"]:
        note["refunds"] = [new_refund(returned["refund_amount"])]
        invoice["_refunded"] = invoice.get("_refunded", 0) + returned["refund_amount"]
    if returned["credit_amount"]:
        note["customer_balance_transaction"] = balances.move_and_tell(
            call,
            invoice["customer"],
            -returned["credit_amount"],
            "credit_note",
            invoice=invoice["id"],
            credit_note=note["id"],
        )["id"]
    note["_lines"] = lines
    call.store.add(note)
    shown = shown_note(note)
    call.emit("credit_note.created", shown)
    lower_invoice(call, invoice, before, before_payment, after_payment)
    return shown


def new_lines(call: Call, invoice: Json) -> list[Json]:
    """The note's lines: those that were sent, or one for the amount."""
    params = call.params
    sent = params.get("lines")
    if not sent:
        if "amount" not in params:
            raise missing("amount")
        if params["amount"] <= 0:
            raise invalid("This value must be greater than 0.", param="amount")
        return [new_line(params["amount"], None, None, 1)]
    lines = [line_sent(call, invoice, line, index) for index, line in enumerate(sent)]
    total = sum(line["amount"] for line in lines)
    if params.get("amount", total) != total:
        raise invalid("The amount must equal the sum of the lines.", param="amount")
    return lines


def line_sent(call: Call, invoice: Json, sent: Json, index: int) -> Json:
    """One line as the caller sent it."""
    param = f"lines[{index}]"
    if {"tax_amounts", "tax_rates", "unit_amount_decimal"} & set(sent):
        raise invalid("The simulator offers no taxes or decimals on credit notes.", param=param)
    if sent["type"] == "custom_line_item":
        if "unit_amount" not in sent or "quantity" not in sent:
            raise missing(f"{param}[unit_amount]")
        amount = sent["unit_amount"] * sent["quantity"]
        line = new_line(amount, sent.get("description"), None, sent["quantity"])
    else:
        id_ = sent.get("invoice_line_item", "")
        found = call.store.find("line_item", id_)
        if found is None or found["invoice"] != invoice["id"]:
            raise invalid(
                f"No such invoice line item: '{id_}'",
                param=f"{param}[invoice_line_item]",
                code="resource_missing",
            )
        part: int = sent["amount"] if "amount" in sent else found["amount"]
        if part > found["amount"]:
            raise invalid("The amount exceeds that of the line.", param=f"{param}[amount]")
        line = new_line(part, sent.get("description", found["description"]), id_, 1)
    line["metadata"] = merge({}, sent.get("metadata", {}))
    return line


def refuse_excess(call: Call, invoice: Json, total: int) -> None:
    """Not more can be credited than the invoice came to."""
    earlier = sum(note["total"] for note in notes_of(call, invoice))
    if total + earlier > invoice["total"]:
        raise invalid(
            f"The credit note's amount ({total}) exceeds what can still be credited on this "
            f"invoice ({invoice['total'] - earlier}).",
            param="amount",
        )


def refuse_wrong_split(invoice: Json, after_payment: int, returned: dict[str, int]) -> None:
    """What was paid must be given back exactly, and refunds only out of what was paid."""
    if sum(returned.values()) != after_payment or min(returned.values()) < 0:
        raise invalid(
            "The sum of refund_amount, credit_amount and out_of_band_amount "
            f"({sum(returned.values())}) must equal the post payment amount ({after_payment})."
        )
    refundable = invoice["amount_paid"] - invoice["amount_paid_off_stripe"]
    if returned["refund_amount"] > refundable - invoice.get("_refunded", 0):
        raise invalid("The refund exceeds what was paid through Stripe.", param="refund_amount")


def notes_of(call: Call, invoice: Json) -> list[Json]:
    """The notes of an invoice that are not void."""
    return call.store.select("credit_note", "invoice = ? AND state = 'issued'", invoice["id"])


def lower_invoice(call: Call, invoice: Json, shown: Json, before: int, after: int) -> None:
    """Take the note off the invoice; an open one with nothing left is paid."""
    invoice["pre_payment_credit_notes_amount"] += before
    invoice["post_payment_credit_notes_amount"] += after
    invoice["amount_due"] -= before
    invoice["amount_remaining"] -= before
    payments.reprice(call, invoice)
    if before and invoice["amount_remaining"] == 0:
        payments.cancel(call, invoice)
        settle_paid(call, invoice, shown, succeeded=False)
    else:
        save_and_tell(call, invoice, shown)


def void(call: Call) -> Json:
    """POST /v1/credit_notes/{id}/void: only while the invoice is open."""
    note = stored(call, "id")
    invoice = call.get("invoice", note["invoice"], param="invoice")
    if note["status"] == "void":
        raise invalid("This credit note is already void.")
    if invoice["status"] != "open" or note["post_payment_amount"]:
        raise invalid("You can only void a credit note of an open invoice.")
    before = show(call, invoice)
    note.update(status="void", voided_at=call.now)
    call.store.save(note)
    call.emit("credit_note.voided", shown_note(note))
    invoice["pre_payment_credit_notes_amount"] -= note["pre_payment_amount"]
    invoice["amount_due"] += note["pre_payment_amount"]
    invoice["amount_remaining"] += note["pre_payment_amount"]
    payments.reprice(call, invoice)
    save_and_tell(call, invoice, before)
    return shown_note(note)


def stored(call: Call, name: str) -> Json:
    """The note that the path names."""
    return call.get("credit_note", call.path[name], param="id")


def retrieve(call: Call) -> Json:
    """GET /v1/credit_notes/{id}."""
    return shown_note(stored(call, "id"))


def update(call: Call) -> Json:
    """POST /v1/credit_notes/{id}: memo and metadata."""
    note = stored(call, "id")
    before = shown_note(dict(note))
    note.update(given(call.params, "memo"))
    if "metadata" in call.params:
        note["metadata"] = merge(note["metadata"], call.params["metadata"])
    call.store.save(note)
    call.emit("credit_note.updated", shown_note(note), before)
    return shown_note(note)


def list_(call: Call) -> Json:
    """GET /v1/credit_notes."""
    filters = Filter(call.params).moment("created").equal("customer").equal("invoice")
    return page(call, "credit_note", "/v1/credit_notes", filters, shown_note)


def list_lines(call: Call) -> Json:
    """GET /v1/credit_notes/{credit_note}/lines."""
    note = stored(call, "credit_note")
    url = f"/v1/credit_notes/{note['id']}/lines"
    return page_of(call, "credit note line item", url, note["_lines"])
