"""A credit note's way to Stripe: one call, made surely and once, then recorded with its entries.

Like an invoice's steps: the payload is stored before it is sent under a key that follows from the
note; an answer that was lost for long is looked for by metadata and adopted. The lease is that of
the invoice, so that nobody voids or pushes it at the same time. No call to Stripe is made inside a
database transaction.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, Sum

from billing.domain import credit_note_entries
from billing.domain.credit_note_entries import Split
from billing.domain.errors import Conflict, ExternalFailure
from billing.domain.journal import Entry
from billing.models import CreditNote, CreditNoteState, Invoice
from billing.services import (
    clock,
    credit_notes,
    invoice_sync,
    invoices,
    ledger,
    push_leases,
    stripe_credit_notes,
    stripe_gateway,
)
from billing.services.push_leases import Lease, LeaseLost
from billing.services.retrying import retried
from billing.services.stripe_credit_notes import RemoteCreditNote
from billing.services.stripe_gateway import RemoteInvoice
from billing.services.stripe_steps import do_once

_log = logging.getLogger(__name__)
_FIRST_WAIT = timedelta(seconds=5)
_LONGEST_WAIT = timedelta(hours=1)


def push_note(*, note_id: UUID, now: datetime) -> bool:
    """Bring an approved note to Stripe: whether nothing is left to do.

    False while its invoice is a draft or another worker is at it, or a human must look. Raises
    ExternalFailure after writing down why.
    """
    note = credit_notes.get_note(note_id=note_id)
    if note.state != CreditNoteState.APPROVED:
        return True
    if note.push_blocked or note.invoice.state not in credit_notes.CREDITABLE:
        return False
    lease = push_leases.take(invoice_id=note.invoice_id)
    if lease is None:
        return False
    try:
        _push(lease, note, now)
        return True
    except LeaseLost:
        return False
    except ExternalFailure as failure:
        _write_down(note, failure)
        raise
    finally:
        lease.release()


def push_due_notes(*, now: datetime) -> int:
    """The sweeper: push every note whose time has come. Returns how many arrived."""
    if not stripe_gateway.is_configured():
        return 0
    due = Q(push_next_at=None) | Q(push_next_at__lte=clock.real_now())
    waiting = CreditNote.objects.filter(
        due,
        state=CreditNoteState.APPROVED,
        push_blocked=False,
        invoice__state__in=credit_notes.CREDITABLE,
    )
    pushed = 0
    for note_id in list(waiting.order_by("decided_at", "pk").values_list("pk", flat=True)):
        try:
            pushed += push_note(note_id=note_id, now=now)
        except ExternalFailure as failure:
            _log.warning("credit note %s did not reach Stripe: %s", note_id, failure.detail)
            if failure.code in ("stripe_unreachable", "stripe_refuses_key"):
                break
    return pushed


def _push(lease: Lease, note: CreditNote, now: datetime) -> None:
    lease.renew()
    remote = stripe_gateway.get_invoice(invoice=note.invoice.stripe_id)
    found = do_once(
        lease=lease,
        invoice=note.invoice,
        # What of its id a step's name has room for: sixty bits among one invoice's few notes.
        step=f"n{note.pk.hex[-15:]}",
        payload=_payload(note, remote),
        send=lambda payload, key: stripe_credit_notes.create_note(payload=payload, key=key),
        find=lambda _: _find(note),
    )
    if found.total != note.total_cents or found.invoice != note.invoice.stripe_id:
        raise ExternalFailure(
            "stripe_credit_note_differs", f"{found.id} is not our note.", permanent=True
        )
    record_issued(note_id=note.pk, remote=found, now=now)
    lease.renew()
    # A note over all that was left to pay makes the invoice paid.
    invoice_sync.sync_invoice(invoice_id=note.invoice_id, now=now)


def _payload(note: CreditNote, remote: RemoteInvoice) -> dict[str, Any]:
    """What is asked of Stripe: what was paid is given back exactly, where it came from.

    A refund is paid by Stripe as far as it was paid through Stripe, by us as far as it was paid to
    us, and is a credit for the rest: that part was paid out of an earlier credit.
    """
    paid = note.total_cents - min(note.total_cents, remote.amount_remaining)
    payload: dict[str, Any] = {
        "invoice": remote.id,
        "amount": note.total_cents,
        "memo": note.reason,
        "metadata": {
            "ledger_credit_note": str(note.pk),
            "ledger_environment": stripe_gateway.environment(),
            "kind": note.kind,
        },
    }
    if paid and not note.as_credit:
        through, outside = _refunded_so_far(note.invoice)
        refund = min(paid, max(0, remote.amount_paid - remote.amount_paid_outside - through))
        by_hand = min(paid - refund, max(0, remote.amount_paid_outside - outside))
        parts = {"refund_amount": refund, "out_of_band_amount": by_hand}
        payload |= {name: cents for name, cents in parts.items() if cents}
        paid -= refund + by_hand
    if paid:
        payload["credit_amount"] = paid
    return payload


def _refunded_so_far(invoice: Invoice) -> tuple[int, int]:
    """Cents that issued notes have given back through Stripe, and outside of it."""
    sums = invoice.credit_notes.filter(state=CreditNoteState.ISSUED).aggregate(
        all=Sum("refund_cents"), outside=Sum("refund_outside_cents")
    )
    outside = int(sums["outside"] or 0)
    return int(sums["all"] or 0) - outside, outside


def _find(note: CreditNote) -> RemoteCreditNote | None:
    """The note that an attempt with a lost answer left at Stripe, if any."""
    found = [
        remote
        for remote in stripe_credit_notes.list_notes(invoice=note.invoice.stripe_id)
        if remote.metadata.get("ledger_credit_note") == str(note.pk) and remote.status != "void"
    ]
    if len(found) > 1:
        raise ExternalFailure(
            "stripe_credit_note_doubled",
            f"Stripe has {', '.join(remote.id for remote in found)} for one note of ours.",
            permanent=True,
        )
    return found[0] if found else None


@retried
def record_issued(*, note_id: UUID, remote: RemoteCreditNote, now: datetime) -> None:
    """Stripe has the note: its number, the split that Stripe found, and the refund that it paid.

    One database transaction; again is a no-op.
    """
    with transaction.atomic():
        note = credit_notes.locked_note(note_id=note_id)
        if note.state != CreditNoteState.APPROVED:
            return
        back = remote.refunded + remote.outside
        split = Split(remote.before_payment, remote.after_payment - back, back)
        entries: list[Entry] = credit_notes.move(note, split, now)
        if remote.refunded:
            on = invoices.accounting_date(now=now)
            facts = credit_notes.facts_of(note)
            entries.append(
                credit_note_entries.refunded(facts, remote.refunded, on, outside_stripe=False)
            )
        note.refund_outside_cents = remote.outside
        note.state, note.issued_at = CreditNoteState.ISSUED, now
        note.number, note.stripe_id = remote.number, remote.id
        note.push_error, note.push_next_at = "", None
        note.save()
        ledger.post_entries(entries=entries, now=now)


@retried
def record_refund_paid(*, note_id: UUID, actor_name: str, now: datetime) -> CreditNote:
    """Finance has paid by bank what Stripe could not refund. Again is a no-op.

    Conflict `nothing_to_refund` where Stripe paid it all, or has not got the note yet.
    """
    with transaction.atomic():
        note = credit_notes.locked_note(note_id=note_id)
        if note.refunded_outside_at is not None:
            return note
        if not note.refund_outside_cents:
            raise Conflict("nothing_to_refund", "Nothing of it is to be refunded by bank.")
        on = invoices.accounting_date(now=now)
        entry = credit_note_entries.refunded(
            credit_notes.facts_of(note), note.refund_outside_cents, on, outside_stripe=True
        )
        note.refunded_outside_at = now
        note.save(update_fields=["refunded_outside_at"])
        credit_notes.record_act("record_refund", note, actor_name, now)
        ledger.post_entry(entry=entry, now=now)
    return note


def unblock_note(*, note_id: UUID, actor_name: str, now: datetime) -> CreditNote:
    """Let the push of a note be tried again at once, after a human has looked."""
    with transaction.atomic():
        note = credit_notes.locked_note(note_id=note_id)
        note.push_blocked, note.push_next_at, note.push_attempts = False, None, 0
        note.save(update_fields=["push_blocked", "push_next_at", "push_attempts"])
        credit_notes.record_act("unblock", note, actor_name, now)
    return note


def _write_down(note: CreditNote, failure: ExternalFailure) -> None:
    """Why it failed, and when to try again.

    The first refusal blocks nothing: the invoice may have been paid between our look and the call,
    and the next attempt looks again. The second is a human's turn.
    """
    wait = min(_FIRST_WAIT * 2 ** min(note.push_attempts, 12), _LONGEST_WAIT)
    CreditNote.objects.filter(pk=note.pk, state=CreditNoteState.APPROVED).update(
        push_error=f"{failure.code}: {failure.detail}",
        push_attempts=F("push_attempts") + 1,
        push_blocked=failure.permanent and note.push_attempts > 0,
        push_next_at=clock.real_now() + wait,
    )
