"""The worker's tasks of this app: each calls one service.

The queue is an accelerator only: the beat repeats `push_due_invoices`, `apply_stripe_events` and
`reconcile_invoices`, and every service does nothing where there is nothing to do.
"""

from typing import Any
from uuid import UUID

from celery import Task, shared_task

from billing.domain.errors import ExternalFailure
from billing.services import clock, credit_note_push, invoice_push, webhook_inbox


@shared_task(name="billing.push_invoice", bind=True, max_retries=3)
def push_invoice(self: "Task[Any, Any]", invoice_id: str) -> bool:
    """Bring one invoice to Stripe; a passing failure is tried again, then left to the sweeper."""
    try:
        return invoice_push.push_invoice(invoice_id=UUID(invoice_id), now=clock.now())
    except ExternalFailure as failure:
        if failure.permanent or self.request.retries >= 3:
            return False
        raise self.retry(countdown=10 * 2**self.request.retries) from failure


@shared_task(name="billing.push_credit_note", bind=True, max_retries=3)
def push_credit_note(self: "Task[Any, Any]", note_id: str) -> bool:
    """Bring one credit note to Stripe; a failure is tried again, then left to the sweeper."""
    try:
        return credit_note_push.push_note(note_id=UUID(note_id), now=clock.now())
    except ExternalFailure as failure:
        if self.request.retries >= 3:
            return False
        raise self.retry(countdown=10 * 2**self.request.retries) from failure


@shared_task(name="billing.push_due_invoices")
def push_due_invoices() -> int:
    """Bring every invoice and then every credit note to Stripe whose time has come."""
    arrived = invoice_push.push_due_invoices(now=clock.now())
    return arrived + credit_note_push.push_due_notes(now=clock.now())


@shared_task(name="billing.apply_stripe_event")
def apply_stripe_event(event_id: int) -> bool:
    """Apply one event of the inbox."""
    return webhook_inbox.apply_event(event_id=event_id, now=clock.now())


@shared_task(name="billing.apply_stripe_events")
def apply_stripe_events() -> int:
    """Apply what is left in the inbox."""
    return webhook_inbox.apply_events(now=clock.now())


@shared_task(name="billing.reconcile_invoices")
def reconcile_invoices() -> int:
    """Ask Stripe about every open invoice."""
    return webhook_inbox.reconcile_invoices(now=clock.now())
