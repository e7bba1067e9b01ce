"""What Stripe says of an invoice, brought into our books: forward only, each step once.

Always from a fresh GET, never from a webhook's body: events come late, twice and out of order.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from billing.domain import invoice_entries
from billing.domain.errors import Conflict, ExternalFailure, InvariantViolation
from billing.domain.journal import AccountCode, AccountKey, Entry, Posting, Scope
from billing.domain.money import ZERO, from_cents
from billing.models import Invoice, InvoiceState, JournalEntry, PushStep
from billing.services import credit_note_moves, invoices, ledger, stripe_gateway
from billing.services.retrying import retried
from billing.services.stripe_gateway import RemoteInvoice

UnusedByQuarter = Callable[[Invoice], Mapping[int, Decimal]]

_SETTLED = (InvoiceState.PAID, InvoiceState.VOID)


def sync_invoice(
    *, invoice_id: UUID, now: datetime, unused_by_quarter: UnusedByQuarter | None = None
) -> bool:
    """Ask Stripe for the invoice and move ours forward to it: whether nothing is left to do.

    False while ours is a draft: its push records it first. `unused_by_quarter` says how much of
    what an uncollectible invoice billed in advance no usage has drawn; see `unused_by_the_books`.
    """
    invoice = invoices.get_invoice(invoice_id=invoice_id)
    if not invoice.stripe_id or invoice.state == InvoiceState.DRAFT:
        return invoice.state in _SETTLED
    remote = stripe_gateway.get_invoice(invoice=invoice.stripe_id)
    return apply_remote(
        invoice_id=invoice_id, remote=remote, now=now, unused_by_quarter=unused_by_quarter
    )


@retried
def apply_remote(
    *,
    invoice_id: UUID,
    remote: RemoteInvoice,
    now: datetime,
    unused_by_quarter: UnusedByQuarter | None = None,
) -> bool:
    """Move our invoice to the state that Stripe has, with its entries, in one transaction.

    Locks the invoice. An answer that is older than what we know changes nothing. A contradiction
    (paid there, void here) raises InvariantViolation: a human must look.
    """
    with transaction.atomic():
        invoice = invoices.locked_invoice(invoice_id=invoice_id)
        if invoice.state == InvoiceState.DRAFT:
            return False
        if invoice.state in _SETTLED:
            if remote.status in _SETTLED and remote.status != invoice.state:
                raise InvariantViolation(
                    "invoice_contradiction",
                    f"{invoice} is {invoice.state} here and {remote.status} at Stripe.",
                )
            return True
        if remote.status == "paid":
            _pay(invoice, remote, now)
        elif remote.status == "void":
            record_void(invoice=invoice, now=now)
        elif remote.status == "uncollectible" and invoice.state == InvoiceState.FINALIZED:
            _write_off(invoice, now, unused_by_quarter or unused_by_the_books)
    return True


@retried
def record_finalized(
    *, invoice_id: UUID, remote: RemoteInvoice, due_at: datetime, now: datetime
) -> None:
    """Stripe has finalized it: number, addresses and the issue entry, in one transaction.

    Again is a no-op. Tax is what Stripe put on top of our lines.
    """
    with transaction.atomic():
        invoice = invoices.locked_invoice(invoice_id=invoice_id)
        if invoice.state != InvoiceState.DRAFT:
            return
        if remote.subtotal != invoice.total_cents:
            raise ExternalFailure(
                "stripe_total_differs", "Stripe's subtotal is not ours.", permanent=True
            )
        invoice.state = InvoiceState.FINALIZED
        invoice.number = remote.number
        invoice.hosted_url = remote.hosted_url
        invoice.tax_cents = remote.total - remote.subtotal
        invoice.issued_at = now
        invoice.due_at = due_at
        invoice.push_step = PushStep.FINALIZED
        invoice.save()
        facts = invoices.facts_of(invoice)
        on = invoices.accounting_date(now=now)
        ledger.post_entry(entry=invoice_entries.issued(facts, on), now=now)


def record_void(*, invoice: Invoice, now: datetime) -> None:
    """Void a locked, unpaid invoice; the reverse of its issue if it was ever issued."""
    refuse_credited(invoice)
    entries: list[Entry] = []
    if invoice.state != InvoiceState.DRAFT:
        facts, on = invoices.facts_of(invoice), invoices.accounting_date(now=now)
        entries = [*_collectible_again(invoice, now), invoice_entries.voided(facts, on)]
    invoice.state = InvoiceState.VOID
    invoice.voided_at = now
    invoice.save(update_fields=["state", "voided_at"])
    ledger.post_entries(entries=entries, now=now)


def refuse_credited(invoice: Invoice) -> None:
    """An invoice with credit notes is not voided: their cents would be taken back twice."""
    if invoice.credit_notes.filter(state__in=["approved", "issued"]).exists():
        raise Conflict("invoice_has_credit_notes", "Credit what is left of it instead.")


def _pay(invoice: Invoice, remote: RemoteInvoice, now: datetime) -> None:
    # What the customer paid is what Stripe's credit notes left to pay, not what ours did.
    moves = credit_note_moves.follow_payment(
        invoice=invoice, credited_cents=remote.credited_before_payment, now=now
    )
    facts, on = invoices.facts_of(invoice), invoices.accounting_date(now=now)
    outside = remote.amount_paid_outside
    entries = [
        *_collectible_again(invoice, now),
        *moves,
        *invoice_entries.paid(
            facts, on, outside_cents=outside, customer_credit_cents=remote.credit_used
        ),
    ]
    invoice.state = InvoiceState.PAID
    invoice.paid_at = now
    invoice.paid_outside_stripe = 0 < facts.outstanding <= from_cents(outside)
    invoice.save(update_fields=["state", "paid_at", "paid_outside_stripe"])
    ledger.post_entries(entries=entries, now=now)


def _write_off(invoice: Invoice, now: datetime, unused_by_quarter: UnusedByQuarter) -> None:
    facts, on = invoices.facts_of(invoice), invoices.accounting_date(now=now)
    entry = invoice_entries.uncollectible(facts, on, unused_by_quarter=unused_by_quarter(invoice))
    invoice.state = InvoiceState.UNCOLLECTIBLE
    invoice.uncollectible_at = now
    invoice.save(update_fields=["state", "uncollectible_at"])
    ledger.post_entries(entries=[entry] if entry else [], now=now)


def _collectible_again(invoice: Invoice, now: datetime) -> list[Entry]:
    """The reverse of an earlier write-off, from what was booked then."""
    key = f"invoice/{invoice.pk}/uncollectible"
    entry = JournalEntry.objects.filter(key=key).first()
    if entry is None:
        return []
    postings = [
        Posting(
            AccountKey(
                AccountCode(posting.account.code),
                posting.account.customer_id,
                posting.account.commit_id,
                posting.account.quarter_index,
            ),
            posting.amount,
        )
        for posting in entry.postings.select_related("account")
    ]
    on = invoices.accounting_date(now=now)
    return [invoice_entries.collectible_again(invoices.facts_of(invoice), on, postings)]


def unused_by_the_books(invoice: Invoice) -> dict[int, Decimal]:
    """How much of each billed quarter is still deferred revenue, as booked.

    What has rolled on into a later quarter counts as earned here. It stands there as balance that
    the customer may still draw: whoever knows grants passes better figures.
    """
    facts = invoices.facts_of(invoice)
    scope = Scope(invoice.customer_id, invoice.commit_id)
    return {
        quarter: max(ZERO, -ledger.balance(scope.account(AccountCode.DEFERRED_REVENUE, quarter)))
        for quarter in invoice_entries.in_advance_by_quarter(facts.lines)
    }


def open_invoice_ids() -> list[UUID]:
    """Finalized invoices that Stripe may have moved on since: what reconciliation asks about."""
    return list(
        Invoice.objects.filter(state__in=[InvoiceState.FINALIZED, InvoiceState.UNCOLLECTIBLE])
        .order_by("issued_at", "pk")
        .values_list("pk", flat=True)
    )
