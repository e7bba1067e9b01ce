"""Voiding and reissuing invoices, and letting a blocked one try again: finance's acts.

An invoice is never edited. Void it while it is unpaid; its lines stay "already billed" and return
by its reissue, the next revision with the same lines, or are given up (`write_offs`).
"""

from datetime import datetime
from uuid import UUID, uuid5

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.domain.errors import Conflict
from billing.models import Invoice, InvoiceState, Occasion, StripeCall
from billing.services import (
    audit,
    invoice_push,
    invoice_sync,
    invoices,
    push_leases,
    stripe_gateway,
    write_offs,
)
from billing.services.push_leases import Lease
from billing.services.retrying import retried
from billing.services.stripe_payloads import idempotency_key


def void_invoice(
    *,
    invoice_id: UUID,
    reason: str,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
) -> Invoice:
    """Void an unpaid invoice, at Stripe first, then in the books: the reverse of its issue.

    Again is a no-op. Conflict `invoice_paid` if it is paid, also if only Stripe knew;
    `invoice_is_being_pushed` while a worker is sending it; `invoice_has_credit_notes`. Calls
    Stripe.
    """
    invoices.get_invoice(invoice_id=invoice_id)
    lease = push_leases.take(invoice_id=invoice_id)
    if lease is None:
        raise Conflict("invoice_is_being_pushed", "It is on its way to Stripe; try again soon.")
    try:
        invoice = invoices.get_invoice(invoice_id=invoice_id)
        if invoice.state == InvoiceState.VOID:
            return invoice
        if invoice.state == InvoiceState.PAID:
            raise Conflict("invoice_paid", "A paid invoice is corrected by a credit note.")
        invoice_sync.refuse_credited(invoice)
        _void_at_stripe(lease, invoice, now)
        _void_in_the_books(invoice_id, reason, actor, actor_name, now)
    except push_leases.LeaseLost as lost:
        raise Conflict("invoice_is_being_pushed", "Another worker took it over.") from lost
    finally:
        lease.release()
    return invoices.get_invoice(invoice_id=invoice_id)


@retried
def _void_in_the_books(
    invoice_id: UUID, reason: str, actor: AbstractBaseUser | None, actor_name: str, now: datetime
) -> None:
    with transaction.atomic():
        invoice = invoices.locked_invoice(invoice_id=invoice_id)
        if invoice.state == InvoiceState.PAID:
            raise Conflict("invoice_paid", "It was paid at this moment.")
        if invoice.state != InvoiceState.VOID:
            invoice_sync.record_void(invoice=invoice, now=now)
        _audit("invoice.voided", invoice, reason, actor, actor_name, now)


def _void_at_stripe(lease: Lease, invoice: Invoice, now: datetime) -> None:
    """See to it that Stripe has no invoice that the customer could still pay."""
    remote = None
    if invoice.stripe_id:
        remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
    elif StripeCall.objects.filter(invoice=invoice).exists():
        # Its creation was sent and the answer lost: it may stand there under no id that we know.
        remote = invoice_push.find_remote(invoice)
    if remote is None:
        return
    lease.renew()
    if remote.status == "draft":
        stripe_gateway.delete_draft(invoice=remote.id)
    elif remote.status in ("open", "uncollectible"):
        stripe_gateway.void_invoice(invoice=remote.id, key=idempotency_key(invoice, "void", 1))
    elif remote.status == "paid":
        invoice_sync.apply_remote(invoice_id=invoice.pk, remote=remote, now=now)
        raise Conflict("invoice_paid", "Stripe says that it is paid.")


def reissue_invoice(
    *, invoice_id: UUID, actor: AbstractBaseUser | None, actor_name: str, now: datetime
) -> Invoice:
    """The next revision of a voided invoice, with the same lines. Again answers with the same one.

    Conflict `invoice_not_void` if it is alive, `invoice_written_off` once it was given up.
    """
    with transaction.atomic():
        voided = invoices.locked_invoice(invoice_id=invoice_id)
        if voided.state != InvoiceState.VOID:
            raise Conflict("invoice_not_void", "Only a voided invoice is reissued.")
        write_offs.refuse_written_off(voided)
        revision = voided.revision + 1
        following = Invoice.objects.filter(
            commit_id=voided.commit_id,
            occasion=voided.occasion,
            occasion_ref=voided.occasion_ref,
            revision=revision,
        ).first()
        if following is not None:
            return following
        name = f"{voided.occasion}/{voided.occasion_ref}/{revision}"
        invoice = invoices.draft_invoice(
            invoices.InvoiceDraft(
                id=uuid5(voided.commit_id, name),
                customer_id=voided.customer_id,
                commit_id=voided.commit_id,
                occasion=Occasion(voided.occasion),
                occasion_ref=voided.occasion_ref,
                revision=revision,
                lines=tuple(invoices.line_drafts_of(voided)),
            ),
            now=now,
        )
        _audit("invoice.reissued", invoice, f"of {voided.pk}", actor, actor_name, now)
    return invoice


def unblock_invoice(
    *, invoice_id: UUID, actor: AbstractBaseUser | None, actor_name: str, now: datetime
) -> Invoice:
    """Let the push of an invoice be tried again at once, after a human has looked."""
    invoices.get_invoice(invoice_id=invoice_id)
    with transaction.atomic():
        invoice = invoices.locked_invoice(invoice_id=invoice_id)
        invoice.push_blocked, invoice.push_next_at, invoice.push_attempts = False, None, 0
        invoice.save(update_fields=["push_blocked", "push_next_at", "push_attempts"])
        _audit("invoice.unblocked", invoice, invoice.push_error, actor, actor_name, now)
    return invoice


def _audit(
    action: str,
    invoice: Invoice,
    reason: str,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
) -> None:
    audit.record(
        at=now,
        actor=actor,
        actor_name=actor_name,
        action=action,
        object_type="invoice",
        object_ref=str(invoice.pk),
        customer_key=invoice.customer.key,
        details={"reason": reason, "total_cents": invoice.total_cents},
    )
