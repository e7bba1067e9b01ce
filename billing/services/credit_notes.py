"""Credit notes: asked for by one finance user and approved by another, or made by the close.

An approved note is booked at once, split by what we know of the invoice's payment; Stripe follows
(`credit_note_push`), and where it found the invoice otherwise paid, the split is booked anew.
Usage and grants belong to the commits: whoever approves a note on an unused instalment sees to it
that the money can be drawn no more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet, Sum

from billing.domain import credit_note_entries
from billing.domain.credit_note_entries import NoteFacts, Split
from billing.domain.errors import Conflict, NotFound
from billing.domain.invoice_entries import IN_ADVANCE
from billing.domain.journal import AccountCode, Entry, Scope
from billing.models import (
    RULE,
    CreditNote,
    CreditNoteKind,
    CreditNoteState,
    Invoice,
    InvoiceState,
)
from billing.services import audit, invoices, ledger, two_people

LIVE = (CreditNoteState.REQUESTED, CreditNoteState.APPROVED, CreditNoteState.ISSUED)
BOOKED = (CreditNoteState.APPROVED, CreditNoteState.ISSUED)
# An uncollectible invoice was never paid, and what it billed unused has gone back already.
CREDITABLE = (InvoiceState.FINALIZED, InvoiceState.PAID)


@dataclass(frozen=True, slots=True)
class Source:
    """The account that a note takes its money from: a commit's quarter, and how it is debited."""

    commit_id: UUID
    quarter_index: int
    debited: AccountCode


def creditable_cents(invoice: Invoice, kind: CreditNoteKind) -> int:
    """How much of an invoice's lines of that kind no credit note has taken back or asked for."""
    in_advance = kind == CreditNoteKind.UNUSED_INSTALMENT
    billed = sum(
        line.amount_cents for line in invoice.lines.all() if (line.kind in IN_ADVANCE) is in_advance
    )
    taken = invoice.credit_notes.filter(kind=kind, state__in=LIVE).aggregate(
        cents=Sum("total_cents")
    )
    return billed - int(taken["cents"] or 0)


def refuse_uncreditable(invoice: Invoice) -> None:
    """Conflict `invoice_not_creditable` unless it is finalized or paid."""
    if invoice.state not in CREDITABLE:
        raise Conflict(
            "invoice_not_creditable", f"It is {invoice.state}: void a draft, credit what is issued."
        )


def get_note(*, note_id: UUID) -> CreditNote:
    """The note with its invoice, or NotFound `credit_note_not_found`."""
    found = CreditNote.objects.select_related("invoice__customer").filter(pk=note_id).first()
    if found is None:
        raise NotFound("credit_note_not_found", f"There is no credit note {note_id}.")
    return found


def notes_of(*, invoice: Invoice) -> QuerySet[CreditNote]:
    """The credit notes of an invoice, newest first."""
    return invoice.credit_notes.order_by("-requested_at", "-id")


def locked_note(*, note_id: UUID) -> CreditNote:
    """The note, its invoice's row and its own locked, in that order."""
    note = get_note(note_id=note_id)
    invoices.locked_invoice(invoice_id=note.invoice_id)
    return two_people.find(CreditNote, note_id, lock=True, related=("invoice__customer",))


def approve_note(
    *,
    note_id: UUID,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
    source: Source | None = None,
) -> tuple[CreditNote, list[Entry]]:
    """Approve a request, inside the caller's transaction. Again answers with the approved note.

    Returns its entry for the caller to post with its own. `source` corrects where the money is
    taken from. NotPermitted `maker_is_checker`; Conflict `not_open`, `invoice_not_creditable`.
    """
    note = locked_note(note_id=note_id)
    if not two_people.may_approve(note, actor_name=actor_name):
        return note, []
    refuse_uncreditable(note.invoice)
    if source is not None:
        note.commit_id, note.quarter_index = source.commit_id, source.quarter_index
        note.debited = source.debited
    entry = _book(note, now)
    two_people.approve(note, actor=actor, actor_name=actor_name, now=now)
    return note, [entry]


def make_by_rule(
    *,
    commit_ids: Iterable[UUID],
    kind: CreditNoteKind,
    cents: int,
    source: Source,
    reason: str,
    name: str,
    now: datetime,
) -> tuple[list[CreditNote], list[Entry]]:
    """Approved notes over the invoices of these commits, most recent first, up to `cents`.

    Never more than the lines of that kind on each; less in all where there is not so much. `name`
    makes the ids: unique for each settlement. The caller posts the entries, in its transaction.
    """
    usable = (InvoiceState.DRAFT, *CREDITABLE)
    found = Invoice.objects.filter(commit_id__in=list(commit_ids), state__in=usable)
    made: list[CreditNote] = []
    entries: list[Entry] = []
    for invoice in found.select_for_update(of=("self",)).order_by("-created_at", "-id"):
        part = min(cents, creditable_cents(invoice, kind))
        if part <= 0:
            continue
        note = CreditNote(
            id=uuid5(source.commit_id, f"credit-note/{name}/{invoice.pk}"),
            invoice=invoice,
            kind=kind,
            reason=reason,
            total_cents=part,
            debited=source.debited,
            commit_id=source.commit_id,
            quarter_index=source.quarter_index,
            requested_at=now,
            requested_by=RULE,
            decided_at=now,
            decided_by=RULE,
        )
        entries.append(_book(note, now))
        note.save(force_insert=True)
        record_act("approve", note, RULE, now)
        made.append(note)
        cents -= part
    return made, entries


def _book(note: CreditNote, now: datetime) -> Entry:
    """Let the note be approved, split by what our books say of the invoice's payment."""
    invoice = note.invoice
    unpaid = 0
    if invoice.state == InvoiceState.FINALIZED:
        unpaid = invoice.total_cents + invoice.tax_cents - invoices.credited_cents(invoice)
    split = credit_note_entries.split_of(note.total_cents, unpaid=unpaid, as_credit=note.as_credit)
    set_split(note, split)
    note.state = CreditNoteState.APPROVED
    on = invoices.accounting_date(now=now)
    return credit_note_entries.issued(facts_of(note), split, on, note.reason)


def facts_of(note: CreditNote) -> NoteFacts:
    """What the domain's entry templates need to know of a note."""
    return NoteFacts(
        id=note.pk,
        invoice_id=note.invoice_id,
        scope=Scope(note.invoice.customer_id, note.commit_id),
        debited=AccountCode(note.debited),
        quarter_index=note.quarter_index,
    )


def booked_split(note: CreditNote) -> Split:
    """Where the books have a note's cents."""
    return Split(note.receivable_cents, note.customer_credit_cents, note.refund_cents)


def set_split(note: CreditNote, split: Split) -> None:
    note.receivable_cents = split.receivable
    note.customer_credit_cents = split.customer_credit
    note.refund_cents = split.refund


def move(note: CreditNote, split: Split, now: datetime) -> list[Entry]:
    """Book a note's split anew; no entry where it is the same. The caller saves and posts."""
    before = booked_split(note)
    if before == split:
        return []
    note.moves += 1
    set_split(note, split)
    on = invoices.accounting_date(now=now)
    return [credit_note_entries.moved(facts_of(note), before, split, on, number=note.moves)]


def post(entries: Sequence[Entry], now: datetime) -> None:
    """Book a note's entries where nobody else has any to book with them."""
    ledger.post_entries(entries=entries, now=now)


def record_act(action: str, note: CreditNote, actor_name: str, now: datetime) -> None:
    """Write what happened to an approved note into the audit trail."""
    audit.record(
        at=now,
        actor_name=actor_name,
        action=action,
        object_type=note.object_type,
        object_ref=str(note.pk),
        customer_key=note.customer_key,
        details=note.audit_details(),
    )
