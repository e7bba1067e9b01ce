"""Invoice payments: what is asked of, and paid for, an invoice. Owns these objects alone."""

from __future__ import annotations

from .call import Call
from .listing import Filter, page
from .store import Json, new_id

LISTS = {"created", "invoice", "status", "payment"}


def request(call: Call, invoice: Json) -> Json:
    """The default payment that finalization asks for."""
    payment = {"type": "payment_intent", "payment_intent": new_id("pi")}
    return call.store.add(new_payment(call, invoice, payment))


def new_payment(call: Call, invoice: Json, payment: Json) -> Json:
    """An open payment of the whole amount remaining."""
    return {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_remaining"],
        "created": call.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def open_payment(call: Call, invoice: Json) -> Json | None:
    """The open payment of an invoice."""
    found = call.store.select("invoice_payment", "invoice = ? AND state = 'open'", invoice["id"])
    return found[0] if found else None


def collect(call: Call, invoice: Json, *, out_of_band: bool) -> Json:
    """Mark the amount remaining as paid, through Stripe or outside of it."""
    payment = open_payment(call, invoice)
    if out_of_band:
        if payment is not None:
            cancel(call, invoice)
        record = {"type": "payment_record", "payment_record": new_id("pr")}
        payment = call.store.add(new_payment(call, invoice, record))
    if payment is None:
        payment = request(call, invoice)
    payment["amount_requested"] = payment["amount_paid"] = invoice["amount_remaining"]
    payment["status"] = "paid"
    payment["status_transitions"]["paid_at"] = call.now
    call.store.save(payment)
    call.emit("invoice_payment.paid", payment)
    return payment


def cancel(call: Call, invoice: Json) -> None:
    """Withdraw what was asked for."""
    payment = open_payment(call, invoice)
    if payment is not None:
        payment["status"] = "canceled"
        payment["is_default"] = False
        payment["status_transitions"]["canceled_at"] = call.now
        call.store.save(payment)


def reprice(call: Call, invoice: Json) -> None:
    """Ask for the amount that remains after a credit note."""
    payment = open_payment(call, invoice)
    if payment is not None:
        payment["amount_requested"] = invoice["amount_remaining"]
        call.store.save(payment)


def of_invoice(call: Call, invoice_id: str) -> Json:
    """The list that `expand[]=payments` embeds."""
    payments = call.store.select("invoice_payment", "invoice = ?", invoice_id, order="DESC")
    url = "/v1/invoice_payments"
    return {"object": "list", "data": payments, "has_more": False, "url": url}


def retrieve(call: Call) -> Json:
    """GET /v1/invoice_payments/{invoice_payment}."""
    id_ = call.path["invoice_payment"]
    return call.get("invoice_payment", id_, param="invoice_payment")


def list_(call: Call) -> Json:
    """GET /v1/invoice_payments."""
    filters = Filter(call.params).moment("created").equal("invoice").equal("status", "state")
    payment = call.params.get("payment")
    if payment is not None:
        kind = payment["type"]
        filters.add(f"json_extract(body, '$.payment.{kind}') = ?", payment.get(kind))
    return page(call, "invoice_payment", "/v1/invoice_payments", filters)
