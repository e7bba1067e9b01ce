"""An invoice's way to Stripe: create, add lines, verify, finalize, record, send.

Every step is a resting place: the outcome is the same when a worker dies anywhere, runs twice, or
shares the work with ten others. Before `finalize` nothing is owed and everything can be looked at;
after it the invoice is recorded and booked in one database transaction. No call to Stripe is made
inside a database transaction. `now` dates the books; leases, back-off and the age of keys go by
real time.
"""

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from billing.domain.errors import ExternalFailure
from billing.models import Invoice, InvoiceState, PushStep, StripeCall
from billing.services import (
    clock,
    invoice_sync,
    push_leases,
    stripe_customers,
    stripe_gateway,
    stripe_payloads,
)
from billing.services.push_leases import Lease, LeaseLost
from billing.services.stripe_gateway import RemoteInvoice
from billing.services.stripe_steps import do_once, first_sent

_log = logging.getLogger(__name__)
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)
# Stripe's clock and ours may differ when a lost draft is looked for by its time.
_SLACK_SECONDS = 600


def push_invoice(*, invoice_id: UUID, now: datetime) -> bool:
    """Bring an invoice as far as it goes: whether nothing is left to do.

    False while another worker is at it, or a human must look first. Raises ExternalFailure when
    Stripe failed or refused, after writing down why; a permanent one blocks the invoice.
    """
    lease = push_leases.take(invoice_id=invoice_id)
    if lease is None:
        return False
    try:
        invoice = _load(lease)
        if invoice.push_blocked:
            return False
        while _next_step(lease, invoice, now):
            invoice = _load(lease)
        lease.record(push_error="", push_attempts=0, push_next_at=None)
        return True
    except LeaseLost:
        return False
    except ExternalFailure as failure:
        _write_down(lease, failure)
        raise
    finally:
        lease.release()


def push_due_invoices(*, now: datetime) -> int:
    """The sweeper: push everything whose time has come. Returns how many arrived.

    Stops at the first sign that Stripe cannot be reached; what failed is tried again later.
    """
    if not stripe_gateway.is_configured():
        return 0
    pushed = 0
    for invoice_id in due_invoice_ids():
        try:
            pushed += push_invoice(invoice_id=invoice_id, now=now)
        except ExternalFailure as failure:
            _log.warning("invoice %s did not reach Stripe: %s", invoice_id, failure.detail)
            if failure.code in ("stripe_unreachable", "stripe_refuses_key"):
                break
    return pushed


def due_invoice_ids() -> list[UUID]:
    """Invoices that are on their way, not blocked, and not waiting for a later attempt."""
    now = clock.real_now()
    on_the_way = Q(state=InvoiceState.DRAFT) | Q(
        state=InvoiceState.FINALIZED, push_step=PushStep.FINALIZED
    )
    due = Q(push_next_at=None) | Q(push_next_at__lte=now)
    return list(
        Invoice.objects.filter(on_the_way, due, push_blocked=False)
        .order_by("created_at", "pk")
        .values_list("pk", flat=True)
    )


def _load(lease: Lease) -> Invoice:
    return Invoice.objects.select_related("customer").get(pk=lease.invoice_id)


def _write_down(lease: Lease, failure: ExternalFailure) -> None:
    """Why it failed, and when to try again: a human's turn if trying again cannot help."""
    attempts = Invoice.objects.values_list("push_attempts", flat=True).get(pk=lease.invoice_id)
    wait = min(_FIRST_WAIT * 2 ** min(attempts, 12), _LONGEST_WAIT)
    try:
        lease.record(
            push_error=f"{failure.code}: {failure.detail}",
            push_attempts=F("push_attempts") + 1,
            push_blocked=failure.permanent,
            push_next_at=clock.real_now() + wait,
        )
    except LeaseLost:
        _log.info("invoice %s was taken over by another worker", lease.invoice_id)


def _next_step(lease: Lease, invoice: Invoice, now: datetime) -> bool:
    """Do the step that comes next; False when there is none."""
    if invoice.state == InvoiceState.DRAFT:
        match invoice.push_step:
            case PushStep.NOTHING:
                _create(lease, invoice)
            case PushStep.CREATED:
                _add_lines(lease, invoice)
            case _:
                _finalize(lease, invoice, now)
        return True
    if invoice.state == InvoiceState.FINALIZED and invoice.push_step == PushStep.FINALIZED:
        _send(lease, invoice)
        return True
    return False


def _create(lease: Lease, invoice: Invoice) -> None:
    lease.renew()
    customer = stripe_customers.stripe_customer_of(customer=invoice.customer)
    remote = do_once(
        lease=lease,
        invoice=invoice,
        step="create",
        payload=stripe_payloads.draft_payload(invoice, customer),
        send=lambda payload, key: stripe_gateway.create_invoice(payload=payload, key=key),
        find=lambda _: find_remote(invoice),
    )
    lease.record(push_step=PushStep.CREATED, stripe_id=remote.id)


def find_remote(invoice: Invoice) -> RemoteInvoice | None:
    """The invoice that an attempt with a lost answer left at Stripe, if any.

    More than one is for a human: which of them a customer may have seen is not for us to guess.
    """
    first = first_sent(invoice, "create")
    customer = invoice.customer.stripe_customer_id
    if first is None or not customer:
        return None
    since = int(first.first_sent_at.timestamp()) - _SLACK_SECONDS
    found = [
        remote
        for remote in stripe_gateway.list_invoices(customer=customer, created_since=since)
        if remote.metadata.get("ledger_invoice") == str(invoice.pk)
    ]
    if len(found) > 1:
        raise ExternalFailure(
            "stripe_invoice_doubled",
            f"Stripe has {', '.join(remote.id for remote in found)} for one invoice of ours.",
            permanent=True,
        )
    return found[0] if found else None


def _add_lines(lease: Lease, invoice: Invoice) -> None:
    payload = stripe_payloads.lines_payload(invoice)

    def find(_: StripeCall) -> RemoteInvoice | None:
        remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
        lines = stripe_gateway.list_lines(invoice=invoice.stripe_id)
        state = stripe_payloads.lines_state(payload, remote, lines)
        if state == "some":
            raise ExternalFailure(
                "stripe_lines_incomplete", "Only some of the lines stand there.", permanent=True
            )
        return remote if state == "all" else None

    do_once(
        lease=lease,
        invoice=invoice,
        step="lines",
        payload=payload,
        send=lambda payload, key: stripe_gateway.add_lines(
            invoice=invoice.stripe_id, payload=payload, key=key
        ),
        find=find,
    )
    lease.record(push_step=PushStep.LINES_ADDED)


def _verify(invoice: Invoice, remote: RemoteInvoice) -> None:
    """Compare everything: any difference leaves a draft that is never finalized."""
    problems = stripe_payloads.differences(
        invoice,
        invoice.customer.stripe_customer_id,
        stripe_payloads.lines_payload(invoice),
        remote,
        stripe_gateway.list_lines(invoice=invoice.stripe_id),
    )
    if problems:
        raise ExternalFailure("stripe_invoice_differs", "; ".join(problems), permanent=True)


def _finalize(lease: Lease, invoice: Invoice, now: datetime) -> None:
    lease.renew()
    remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
    # Also after a crash between verifying and finalizing: a draft can be edited by hand meanwhile.
    _verify(invoice, remote)
    if remote.status == "draft":
        lease.record(push_step=PushStep.VERIFIED)
        do_once(
            lease=lease,
            invoice=invoice,
            step="finalize",
            payload={"auto_advance": True},
            send=lambda payload, key: stripe_gateway.finalize_invoice(
                invoice=invoice.stripe_id, payload=payload, key=key
            ),
            find=lambda _: None,
        )
        # The answer to a repeated key is the old one: only a look says how it is now.
        lease.renew()
        remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
    if remote.status == "draft":
        raise ExternalFailure("stripe_still_draft", "It is a draft still.", permanent=False)
    due_at = now + timedelta(days=stripe_payloads.days_until_due())
    invoice_sync.record_finalized(invoice_id=invoice.pk, remote=remote, due_at=due_at, now=now)
    if remote.status != "open":
        invoice_sync.apply_remote(invoice_id=invoice.pk, remote=remote, now=now)


def _send(lease: Lease, invoice: Invoice) -> None:
    """Let Stripe mail it. Once more after a lost day does less harm than never."""
    do_once(
        lease=lease,
        invoice=invoice,
        step="send",
        payload={},
        send=lambda _, key: stripe_gateway.send_invoice(invoice=invoice.stripe_id, key=key),
        find=lambda _: None,
    )
    lease.record(push_step=PushStep.SENT)
