"""The webhook inbox: verify, store once, answer; apply later, from a fresh look at Stripe.

An event is a signal that its object changed, nothing more: what it carries may be old, and events
come twice and in any order. What never comes at all is found by `reconcile_invoices`.
"""

import logging
from datetime import datetime

from django.conf import settings
from django.db.models import F

from billing.domain.errors import BillingError, ExternalFailure, InvalidInput
from billing.models import Invoice, StripeEvent
from billing.services import invoice_sync, stripe_gateway
from billing.services.invoice_sync import UnusedByQuarter

MAX_BYTES = 2**20
_BATCH = 200
# The events after which an invoice stands in another state; the rest is noise (every line added
# to a draft is an `invoice.updated`), and what is missed is found by reconciliation.
_CHANGES = frozenset({"invoice.paid", "invoice.voided", "invoice.marked_uncollectible"})
_log = logging.getLogger(__name__)


def receive(*, body: bytes, signature: str, now: datetime) -> StripeEvent | None:
    """Store a verified event: the stored row, or None if it came before.

    InvalidInput `invalid_signature` for a forged, altered or old one; nothing is stored then.
    """
    if len(body) > MAX_BYTES:
        raise InvalidInput("webhook_too_large", f"More than {MAX_BYTES} bytes.")
    event = stripe_gateway.verified_event(
        body=body, signature=signature, secrets=settings.STRIPE_WEBHOOK_SECRETS
    )
    stored, is_new = StripeEvent.objects.get_or_create(
        event_id=event.id,
        defaults={
            "type": event.type,
            "object_id": event.object_id,
            "payload": event.payload,
            "received_at": now,
        },
    )
    return stored if is_new else None


def apply_event(
    *, event_id: int, now: datetime, unused_by_quarter: UnusedByQuarter | None = None
) -> bool:
    """Bring our books up to what Stripe has now of the event's object; whether that is done.

    Twice, in any order and at once by several workers comes to the same.
    """
    event = StripeEvent.objects.filter(pk=event_id, applied_at=None).first()
    if event is None:
        return True
    is_done, error = True, ""
    if event.type in _CHANGES and event.object_id:
        invoice = Invoice.objects.filter(stripe_id=event.object_id).first()
        if invoice is not None:
            try:
                is_done = invoice_sync.sync_invoice(
                    invoice_id=invoice.pk, now=now, unused_by_quarter=unused_by_quarter
                )
                error = "" if is_done else "our invoice is on its way still"
            except BillingError as failure:
                is_done, error = False, f"{failure.code}: {failure.detail}"
                _log.warning("event %s could not be applied: %s", event.event_id, error)
    StripeEvent.objects.filter(pk=event_id).update(
        attempts=F("attempts") + 1, error=error, applied_at=now if is_done else None
    )
    return is_done


def apply_events(*, now: datetime, unused_by_quarter: UnusedByQuarter | None = None) -> int:
    """The sweeper: apply what is not applied yet, least tried first. Returns how many are done."""
    waiting = StripeEvent.objects.filter(applied_at=None).order_by("attempts", "id")
    return sum(
        apply_event(event_id=event_id, now=now, unused_by_quarter=unused_by_quarter)
        for event_id in waiting.values_list("pk", flat=True)[:_BATCH]
    )


def reconcile_invoices(*, now: datetime, unused_by_quarter: UnusedByQuarter | None = None) -> int:
    """Ask Stripe about every invoice that is still open here: for webhooks that never came.

    Returns how many left the open states. Stops when Stripe cannot be reached.
    """
    if not stripe_gateway.is_configured():
        return 0
    before = invoice_sync.open_invoice_ids()
    for invoice_id in before:
        try:
            invoice_sync.sync_invoice(
                invoice_id=invoice_id, now=now, unused_by_quarter=unused_by_quarter
            )
        except ExternalFailure as failure:
            _log.warning("invoice %s could not be reconciled: %s", invoice_id, failure.detail)
            if not failure.permanent:
                break
        except BillingError as failure:
            _log.error("invoice %s contradicts Stripe: %s", invoice_id, failure.detail)
    return len(set(before) - set(invoice_sync.open_invoice_ids()))
