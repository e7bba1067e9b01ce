"""What an invoice looks like: a new draft's fields, how a stored one is shown, and saved.

Owns the fields and the amounts of a draft (computed when shown: they follow the lines and the
customer's balance). Amounts of a finalized invoice are stored by `invoice_life` and never computed.
"""

from __future__ import annotations

import copy

from .call import Call
from .store import Json, new_id

EMBEDDED_LINES = 10
NULLS = (
    "account_tax_ids", "application", "automatically_finalizes_at", "confirmation_secret",
    "custom_fields", "customer_account", "customer_phone", "customer_shipping",
    "default_payment_method", "default_source", "description", "due_date", "effective_at",
    "ending_balance", "footer", "from_invoice", "hosted_invoice_url", "invoice_pdf",
    "last_finalization_error", "latest_revision", "next_payment_attempt", "number",
    "on_behalf_of", "parent", "receipt_number", "rendering", "shipping_cost", "shipping_details",
    "statement_descriptor", "test_clock", "webhooks_delivered_at",
)  # fmt: skip
ZEROS = (
    "amount_due", "amount_overpaid", "amount_paid", "amount_paid_off_stripe", "amount_remaining",
    "amount_shipping", "attempt_count", "post_payment_credit_notes_amount",
    "pre_payment_credit_notes_amount", "starting_balance", "subtotal", "subtotal_excluding_tax",
    "total", "total_excluding_tax",
)  # fmt: skip
LISTS = (
    "customer_tax_ids", "default_tax_rates", "discounts", "total_discount_amounts",
    "total_pretax_credit_amounts", "total_taxes",
)  # fmt: skip
TRANSITIONS = ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")


def new_draft(call: Call, customer: Json, currency: str) -> Json:
    """A draft with nothing on it."""
    return {
        "id": new_id("in"),
        "object": "invoice",
        **dict.fromkeys(NULLS),
        **dict.fromkeys(ZEROS, 0),
        **{name: [] for name in LISTS},
        "account_country": "US",
        "account_name": "Stripe simulator",
        "attempted": False,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": call.now,
        "currency": currency,
        "customer": customer["id"],
        "issuer": {"type": "self"},
        "livemode": False,
        "metadata": {},
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": call.now,
        "period_start": call.now,
        "status": "draft",
        "status_transitions": dict.fromkeys(TRANSITIONS),
        **customer_fields(customer),
    }


def customer_fields(customer: Json) -> Json:
    """What an invoice copies of its customer until it is finalized."""
    return {
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
    }


def lines_url(invoice_id: str) -> str:
    """Where the whole list of lines is."""
    return f"/v1/invoices/{invoice_id}/lines"


def show(call: Call, invoice: Json) -> Json:
    """The invoice as Stripe shows it, with the first ten lines."""
    shown = copy.deepcopy(invoice)
    lines = call.store.select("line_item", "invoice = ?", invoice["id"], limit=EMBEDDED_LINES + 1)
    shown["lines"] = {
        "object": "list",
        "data": lines[:EMBEDDED_LINES],
        "has_more": len(lines) > EMBEDDED_LINES,
        "url": lines_url(invoice["id"]),
    }
    if invoice["status"] == "draft":
        customer = call.get("customer", invoice["customer"], param="customer")
        shown.update(customer_fields(customer))
        shown["starting_balance"] = customer["balance"]
        due = max(0, invoice["total"] + customer["balance"])
        shown["amount_due"] = shown["amount_remaining"] = due
    return shown


def total_up(call: Call, invoice: Json) -> None:
    """Write the sum of the lines onto the invoice, and its period."""
    row = call.store.rows(
        "SELECT COALESCE(SUM(json_extract(body, '$.amount')), 0) AS total FROM objects"
        " WHERE kind = 'line_item' AND invoice = ?",
        invoice["id"],
    )[0]
    for name in ("subtotal", "subtotal_excluding_tax", "total", "total_excluding_tax"):
        invoice[name] = int(row["total"])


def save_and_tell(call: Call, invoice: Json, before: Json) -> Json:
    """Store the invoice and emit `invoice.updated` when what is shown has changed."""
    shown = show(call, call.store.save(invoice))
    if shown != before:
        call.emit("invoice.updated", shown, before)
    return shown
