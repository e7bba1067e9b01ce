"""Asking for a credit note, and declining to give one: finance's acts before its approval."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.domain.errors import Conflict, InvalidInput
from billing.domain.invoice_entries import IN_ADVANCE
from billing.domain.journal import AccountCode
from billing.models import CreditNote, CreditNoteKind, Invoice
from billing.services import credit_notes, invoices, two_people


@dataclass(frozen=True, slots=True)
class NoteRequest:
    """What is asked for: whole cents before tax, of which kind of lines, and why.

    `kind` may be left out where the invoice has lines of one kind only. `quarter` is the one whose
    money is taken back; left out, it is decided at the approval.
    """

    cents: int
    reason: str
    kind: CreditNoteKind | None = None
    quarter: int | None = None
    as_credit: bool = False


def request_note(
    *,
    invoice_id: UUID,
    request: NoteRequest,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
) -> CreditNote:
    """Store a request. InvalidInput `invalid_credit_note`; Conflict `invoice_not_creditable`,
    `more_than_invoiced`."""
    invoices.get_invoice(invoice_id=invoice_id)
    with transaction.atomic():
        invoice = invoices.locked_invoice(invoice_id=invoice_id)
        kind = request.kind or _only_kind(invoice)
        problems = [] if kind else ["kind: the invoice has lines of both kinds; say which"]
        if request.cents <= 0:
            problems.append("amount: more than nothing")
        if not request.reason.strip():
            problems.append("reason: a credit note has one")
        if problems or kind is None:
            raise InvalidInput("invalid_credit_note", "; ".join(problems))
        credit_notes.refuse_uncreditable(invoice)
        left = credit_notes.creditable_cents(invoice, kind)
        if request.cents > left:
            raise Conflict(
                "more_than_invoiced", f"{left} cents of it can still be taken back.", left=left
            )
        source = _source(invoice, kind, request.quarter)
        note = CreditNote(
            id=uuid4(),
            invoice=invoice,
            kind=kind,
            reason=request.reason,
            total_cents=request.cents,
            as_credit=request.as_credit,
            debited=source.debited,
            commit_id=source.commit_id,
            quarter_index=source.quarter_index,
        )
        return two_people.ask(note, actor=actor, actor_name=actor_name, now=now)


def _only_kind(invoice: Invoice) -> CreditNoteKind | None:
    kinds = {
        CreditNoteKind.UNUSED_INSTALMENT
        if line.kind in IN_ADVANCE
        else CreditNoteKind.OVERBILLED_USAGE
        for line in invoice.lines.all()
    }
    return kinds.pop() if len(kinds) == 1 else None


def _source(invoice: Invoice, kind: CreditNoteKind, quarter: int | None) -> credit_notes.Source:
    """Where a note made by hand takes its money: the named quarter, or the last one billed."""
    in_advance = kind == CreditNoteKind.UNUSED_INSTALMENT
    billed = [
        line.quarter_index
        for line in invoice.lines.all()
        if (line.kind in IN_ADVANCE) is in_advance
    ]
    debited = AccountCode.DEFERRED_REVENUE if in_advance else AccountCode.OVERAGE_REVENUE
    return credit_notes.Source(invoice.commit_id, quarter or max(billed, default=1), debited)


def reject_note(
    *,
    note_id: UUID,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
    why: str = "",
) -> CreditNote:
    """Decline a request; again answers with the rejected one. Conflict `not_open`."""
    with transaction.atomic():
        note = credit_notes.locked_note(note_id=note_id)
        return two_people.reject(note, actor=actor, actor_name=actor_name, now=now, why=why)
