"""What Stripe would say of our invoices, handed to the services that record it, without HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from billing.domain.errors import Conflict
from billing.models import Invoice, InvoiceState
from billing.services import invoice_sync, invoice_voiding, invoices
from billing.services.stripe_gateway import RemoteInvoice


def remote(
    invoice: Invoice, status: str, outside_cents: int = 0, tax_cents: int | None = None
) -> RemoteInvoice:
    """The invoice as Stripe has it, with `tax_cents` or the tax that we know of; it knows of our
    credit notes at once."""
    total = invoice.total_cents + (invoice.tax_cents if tax_cents is None else tax_cents)
    credited = invoices.credited_cents(invoice)
    return RemoteInvoice(
        id=f"in_{invoice.pk.hex}",
        status=status,
        customer="cus_1",
        currency="usd",
        subtotal=invoice.total_cents,
        total=total,
        amount_paid=total - credited if status == "paid" else 0,
        amount_paid_outside=outside_cents,
        number=f"N-{invoice.pk.hex[:12]}",
        hosted_url="https://invoice.example.com/1",
        metadata={},
        credited_before_payment=credited,
    )


def finalize_drafts(now: datetime, tax: Fraction = Fraction(0)) -> None:
    """Stripe finalizes every draft, with a share of tax on top."""
    for invoice in Invoice.objects.filter(state=InvoiceState.DRAFT).order_by("created_at", "pk"):
        invoice_sync.record_finalized(
            invoice_id=invoice.pk,
            remote=remote(invoice, "open", tax_cents=int(invoice.total_cents * tax)),
            due_at=now + timedelta(days=30),
            now=now,
        )


def pay(invoice_id: UUID, through: str, now: datetime) -> None:
    """Paid in full, through Stripe or outside."""
    invoice = Invoice.objects.get(pk=invoice_id)
    owed = invoice.total_cents + invoice.tax_cents - invoices.credited_cents(invoice)
    outside = 0 if through == "stripe" else owed
    invoice_sync.apply_remote(
        invoice_id=invoice_id, remote=remote(invoice, "paid", outside), now=now
    )


def void(invoice_id: UUID, now: datetime) -> None:
    """Finance voids an unpaid invoice; Stripe never had it."""
    invoice_voiding.void_invoice(
        invoice_id=invoice_id, reason="a reason", actor=None, actor_name="ada", now=now
    )


def give_up(invoice_id: UUID, now: datetime) -> None:
    """Marked as uncollectible at Stripe; refused where ours is not open."""
    invoice = Invoice.objects.get(pk=invoice_id)
    if invoice.state != InvoiceState.FINALIZED:
        raise Conflict("not_open", f"it is {invoice.state}")
    invoice_sync.apply_remote(
        invoice_id=invoice_id, remote=remote(invoice, "uncollectible"), now=now
    )
