"""Bringing the split of credit notes in line with what Stripe found paid.

A note is booked before Stripe has it. The customer may pay in between, so that money which we took
off the receivable came in and is owed back; or a note on a draft, booked as owed back, lowered
what was still to be paid.
"""

from datetime import datetime

from billing.domain.credit_note_entries import Split
from billing.domain.errors import InvariantViolation
from billing.domain.journal import Entry
from billing.models import CreditNote, CreditNoteState, Invoice
from billing.services import credit_notes, invoices


def follow_payment(*, invoice: Invoice, credited_cents: int, now: datetime) -> list[Entry]:
    """Let the notes of a locked invoice have taken `credited_cents` off it, as at Stripe.

    Only notes that Stripe has not answered for can differ. Returns the entries for the caller to
    post. InvariantViolation `unknown_credit_note` if the rest is not ours: a human must look.
    """
    differs = credited_cents - invoices.credited_cents(invoice)
    entries: list[Entry] = []
    waiting = invoice.credit_notes.select_for_update(of=("self",)).filter(
        state=CreditNoteState.APPROVED
    )
    for note in waiting.order_by("decided_at", "pk"):
        off = max(0, min(note.total_cents, note.receivable_cents + differs))
        differs -= off - note.receivable_cents
        entries += credit_notes.move(note, with_receivable(note, off), now)
        note.save()
    if differs:
        raise InvariantViolation(
            "unknown_credit_note", f"Stripe has taken {differs} cents more off {invoice} than we."
        )
    return entries


def with_receivable(note: CreditNote, cents: int) -> Split:
    """The note's split with so much taken off the receivable; the rest is owed to the customer."""
    rest = note.total_cents - cents
    return Split(cents, rest, 0) if note.as_credit else Split(cents, 0, rest)
