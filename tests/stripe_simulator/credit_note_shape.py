"""What a credit note looks like: a new one, its lines and refunds, a stored one as it is shown."""

from __future__ import annotations

from .call import Call
from .metadata import merge
from .store import Json, new_id

EMBEDDED_LINES = 10


def new_note(call: Call, invoice: Json, total: int, *, count: int, before: int, after: int) -> Json:
    """The invoice's `count`th note, without its lines and what was given back."""
    id_ = new_id("cn")
    kind = "mixed" if before and after else "post_payment" if after else "pre_payment"
    return {
        "id": id_,
        "object": "credit_note",
        "amount": total,
        "amount_shipping": 0,
        "created": call.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_account": None,
        "customer_balance_transaction": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "effective_at": call.params.get("effective_at", call.now),
        "invoice": invoice["id"],
        "livemode": False,
        "memo": call.params.get("memo"),
        "metadata": merge({}, call.params.get("metadata", {})),
        "number": f"{invoice['number']}-CN-{count:02d}",
        "pdf": f"https://pay.stripe.com/credit_notes/acct_simulator/test_{id_}/pdf",
        "post_payment_amount": after,
        "pre_payment_amount": before,
        "pretax_credit_amounts": [],
        "reason": call.params.get("reason"),
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": total,
        "subtotal_excluding_tax": total,
        "total": total,
        "total_excluding_tax": total,
        "total_taxes": [],
        "type": kind,
        "voided_at": None,
    }


def new_line(amount: int, description: str | None, line_item: str | None, quantity: int) -> Json:
    """One line of a credit note."""
    line: Json = {
        "id": new_id("cnli"),
        "object": "credit_note_line_item",
        "amount": amount,
        "description": description,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": False,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": quantity,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item" if line_item is None else "invoice_line_item",
        "unit_amount": amount // quantity if line_item is None and quantity else None,
        "unit_amount_decimal": None,
    }
    if line_item is not None:
        line["invoice_line_item"] = line_item
    return line


def new_refund(amount: int) -> Json:
    """The refund that a note has made."""
    return {
        "amount_refunded": amount,
        "payment_record_refund": None,
        "refund": new_id("re"),
        "type": "refund",
    }


def shown_note(note: Json) -> Json:
    """The note with its first lines."""
    url = f"/v1/credit_notes/{note['id']}/lines"
    lines = {
        "object": "list",
        "data": note["_lines"][:EMBEDDED_LINES],
        "has_more": len(note["_lines"]) > EMBEDDED_LINES,
        "url": url,
    }
    return {**note, "lines": lines}
