"""An invoice's life after the draft: finalize, send, pay, void, mark uncollectible.

    draft -> open -> paid | void | uncollectible;  uncollectible -> paid | void

Owns the transitions, what each writes on the invoice, and which events each emits.
"""

from __future__ import annotations

import time

from . import balances, payments
from .amounts import settle
from .call import Call
from .errors import StripeFailure, invalid
from .invoice_shape import customer_fields, save_and_tell, show, total_up
from .invoices import stored
from .store import Json

PAY = {"paid_out_of_band", "payment_method", "source", "off_session", "forgive"}
HOUR = 3_600
HOSTED = "https://invoice.stripe.com/i/acct_simulator/test_"
DECLINED_METHODS = ("pm_card_chargeDeclined", "pm_card_visa_chargeDeclined")


def finalize(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/finalize."""
    invoice = stored(call)
    if invoice["status"] != "draft":
        raise invalid(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice."
        )
    auto_advance = bool(call.params.get("auto_advance", invoice["auto_advance"]))
    return finalize_draft(call, invoice, auto_advance)


def finalize_draft(call: Call, invoice: Json, auto_advance: bool) -> Json:
    """Number the draft, apply the customer's balance, open it or see it paid at once."""
    before = show(call, invoice)
    customer = call.get("customer", invoice["customer"], param="customer")
    total_up(call, invoice)
    settled = settle(invoice["total"], customer["balance"], invoice["currency"])
    invoice.update(
        **customer_fields(customer),
        status="open",
        auto_advance=auto_advance,
        automatically_finalizes_at=None,
        number=invoice["number"] or take_number(call, customer),
        hosted_invoice_url=f"{HOSTED}{invoice['id']}",
        invoice_pdf=f"https://pay.stripe.com/invoice/acct_simulator/test_{invoice['id']}/pdf",
        starting_balance=customer["balance"],
        ending_balance=settled.ending_balance,
        amount_due=settled.amount_due,
        amount_remaining=settled.amount_due,
        effective_at=invoice["effective_at"] or call.now,
    )
    if invoice["due_date"] is None and invoice["collection_method"] == "charge_automatically":
        invoice["next_payment_attempt"] = call.now + HOUR if auto_advance else None
    invoice["status_transitions"]["finalized_at"] = call.now
    apply_balance(call, invoice)
    if not settled.paid_at_once:
        payments.request(call, invoice)
    shown = show(call, call.store.save(invoice))
    call.emit("invoice.finalized", shown)
    call.emit("invoice.updated", shown, before)
    if settled.paid_at_once:
        return settle_paid(call, invoice, shown, succeeded=True)
    if auto_advance and invoice["collection_method"] == "send_invoice":
        return mark_sent(call, invoice)
    return shown


def take_number(call: Call, customer: Json) -> str:
    """The next number of the customer's own sequence."""
    number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
    customer["next_invoice_sequence"] += 1
    call.store.save(customer)
    return number


def apply_balance(call: Call, invoice: Json) -> None:
    """Move the customer's balance to what finalization left of it."""
    change = invoice["ending_balance"] - invoice["starting_balance"]
    if change:
        too_small = invoice["amount_due"] == 0 and invoice["ending_balance"] > 0
        type_ = "invoice_too_small" if too_small else "applied_to_invoice"
        balances.move_and_tell(call, invoice["customer"], change, type_, invoice=invoice["id"])


def settle_paid(call: Call, invoice: Json, before: Json, *, succeeded: bool) -> Json:
    """Write that nothing is owed any more; `succeeded` when Stripe itself saw the payment.

    `before` is the invoice as it was shown before the payment.
    """
    invoice.update(status="paid", auto_advance=False, attempted=True, next_payment_attempt=None)
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": call.now}
    shown = save_and_tell(call, invoice, before)
    call.emit("invoice.paid", shown)
    if succeeded:
        call.emit("invoice.payment_succeeded", shown)
    return shown


def mark_sent(call: Call, invoice: Json) -> Json:
    """Send the invoice (again): only an event, no mail."""
    invoice["_sent_at"] = time.time()
    shown = show(call, call.store.save(invoice))
    call.emit("invoice.sent", shown)
    return shown


def send(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/send: a draft is finalized first."""
    invoice = stored(call)
    if invoice["collection_method"] != "send_invoice":
        raise invalid(
            "You can only manually send an invoice if its collection method is set to "
            "'send_invoice'."
        )
    if invoice["status"] in ("void", "uncollectible"):
        raise invalid(f"You can't send an invoice that is {invoice['status']}.")
    if invoice["status"] == "draft":
        finalize_draft(call, invoice, auto_advance=False)
        invoice = stored(call)
    return mark_sent(call, invoice)


def pay(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/pay: a draft is finalized first."""
    invoice = stored(call)
    if invoice["status"] == "draft":
        finalize_draft(call, invoice, invoice["auto_advance"])
        invoice = stored(call)
        if invoice["status"] == "paid":
            return show(call, invoice)
    refuse_unpayable(invoice)
    out_of_band = bool(call.params.get("paid_out_of_band"))
    if not out_of_band:
        require_method(call, invoice)
    return take_payment(call, invoice, out_of_band=out_of_band)


def refuse_unpayable(invoice: Json) -> None:
    """Only open and uncollectible invoices can be paid."""
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(f"This invoice can no longer be paid: it is {invoice['status']}.")


def require_method(call: Call, invoice: Json) -> None:
    """Something to charge, which is not declined."""
    customer = call.get("customer", invoice["customer"], param="customer")
    method = (
        call.params.get("payment_method")
        or call.params.get("source")
        or invoice["default_payment_method"]
        or customer["invoice_settings"]["default_payment_method"]
    )
    if not method:
        raise invalid(
            "This customer has no attached payment source or default payment method. Please "
            "consider adding a default payment method. For more information, visit "
            "https://stripe.com/docs/billing/invoices/sending#payment."
        )
    if method in DECLINED_METHODS:
        before = show(call, invoice)
        invoice["attempted"] = True
        invoice["attempt_count"] += 1
        shown = save_and_tell(call, invoice, before)
        call.emit("invoice.payment_failed", shown)
        raise StripeFailure(
            402,
            "Your card was declined.",
            code="card_declined",
            type_="card_error",
            keeps_effects=True,
        )


def take_payment(call: Call, invoice: Json, *, out_of_band: bool) -> Json:
    """Pay all that remains."""
    before = show(call, invoice)
    payments.collect(call, invoice, out_of_band=out_of_band)
    invoice["amount_paid"] += invoice["amount_remaining"]
    if out_of_band:
        invoice["amount_paid_off_stripe"] += invoice["amount_remaining"]
    else:
        invoice["attempt_count"] += 1
    invoice["amount_remaining"] = 0
    return settle_paid(call, invoice, before, succeeded=not out_of_band)


def void(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/void: the balance that was applied goes back."""
    return close(call, "void", "voided_at", "invoice.voided", ("open", "uncollectible"))


def mark_uncollectible(call: Call) -> Json:
    """POST /v1/invoices/{invoice}/mark_uncollectible."""
    at, event = "marked_uncollectible_at", "invoice.marked_uncollectible"
    return close(call, "uncollectible", at, event, ("open",))


def close(call: Call, status: str, at: str, event: str, allowed: tuple[str, ...]) -> Json:
    """Leave `open` without a payment."""
    invoice = stored(call)
    if invoice["status"] not in allowed:
        raise invalid("You can only pass in open invoices. This invoice isn't open.")
    before = show(call, invoice)
    invoice.update(status=status, auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"][at] = call.now
    if status == "void":
        payments.cancel(call, invoice)
        applied = invoice["starting_balance"] - invoice["ending_balance"]
        if applied:
            type_ = "unapplied_from_invoice"
            balances.move_and_tell(call, invoice["customer"], applied, type_, invoice=invoice["id"])
    shown = save_and_tell(call, invoice, before)
    call.emit(event, shown)
    return shown
