"""Approving credit notes: money that goes back to the customer can be drawn no more.

Billing makes and books the notes. Here the refunded part of an instalment leaves the quarter where
it stands now, which must be open and must have so much left.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.domain.errors import Conflict
from billing.domain.journal import AccountCode
from billing.domain.money import ZERO, from_cents
from billing.models import CreditNote, CreditNoteKind, CreditNoteState, Invoice
from billing.services import credit_notes, invoices, ledger
from billing.services.credit_note_requests import NoteRequest, request_note
from billing.services.retrying import retried
from commits.models import Commit, Quarter, QuarterState
from commits.services.balances import read_balance
from commits.services.books import book_and_write
from commits.services.chains import ChainState, live_figures, load_chains
from commits.services.previews import CHECKER, MAKER, digest_of, refuse_changed


@retried
def approve_credit_note(
    *,
    note_id: UUID,
    actor: AbstractBaseUser | None,
    actor_name: str,
    now: datetime,
    expected_digest: str | None = None,
) -> CreditNote:
    """Approve and book a credit note. Again answers with the approved one.

    With `expected_digest` its effect must still be the one that the preview of that digest has
    shown. Raises NotPermitted `maker_is_checker`; Conflict `not_open`, `invoice_not_creditable`,
    `no_unused_money` where the customer has drawn it already, `preview_changed`; NotFound.
    """
    with transaction.atomic(durable=True):
        waits = credit_notes.get_note(note_id=note_id).state == CreditNoteState.REQUESTED
        note = approve_credit_note_in(note_id=note_id, actor=actor, actor_name=actor_name, now=now)
        if waits:
            refuse_changed(expected=expected_digest, digest=digest_of_note(note))
        return note


def approve_credit_note_in(
    *, note_id: UUID, actor: AbstractBaseUser | None, actor_name: str, now: datetime
) -> CreditNote:
    """`approve_credit_note` inside the caller's database transaction (a preview gives it up)."""
    note = credit_notes.get_note(note_id=note_id)
    commit = Commit.objects.filter(pk=note.invoice.commit_id).first()
    state = None
    if commit is not None:
        state = load_chains(origin_ids=[commit.origin_id], lock=True)[commit.origin_id]
        book_and_write([state], now)
        note = credit_notes.get_note(note_id=note_id)
    source = None
    waits = note.state == CreditNoteState.REQUESTED and note.requested_by != actor_name
    if waits and state is not None and note.kind == CreditNoteKind.UNUSED_INSTALMENT:
        source = _withdraw(state, note)
    note, entries = credit_notes.approve_note(
        note_id=note_id, actor=actor, actor_name=actor_name, now=now, source=source
    )
    ledger.post_entries(entries=entries, now=now)
    if source is not None and commit is not None:
        after = load_chains(origin_ids=[commit.origin_id], lock=True)[commit.origin_id]
        book_and_write([after], now)
    return note


def _withdraw(state: ChainState, note: CreditNote) -> credit_notes.Source:
    """Take the note's money out of the quarter that holds it."""
    quarter = _quarter_of(state, note)
    figures = live_figures(state)[quarter.position - 1]
    left = sum((item.remaining for item in figures.grants if item.grant.paid), ZERO)
    if quarter.state == QuarterState.APPROVED:
        raise Conflict("close_is_approved", "Its close is approved and about to be posted.")
    if from_cents(note.total_cents) > left:
        raise Conflict("no_unused_money", f"Of the money paid, {left} dollars are not used yet.")
    quarter.refunded_cents += note.total_cents
    quarter.save(update_fields=["refunded_cents"])
    return credit_notes.Source(quarter.commit_id, quarter.index, AccountCode.DEFERRED_REVENUE)


def _quarter_of(state: ChainState, note: CreditNote) -> Quarter:
    """The quarter that the note names while it is open, else the one its money has rolled to."""
    for quarter in state.quarters:
        named = (quarter.commit_id, quarter.index) == (note.commit_id, note.quarter_index)
        if named and quarter.state != QuarterState.POSTED:
            return quarter
    if state.open_quarter is None:
        raise Conflict("no_unused_money", "The commit has ended, and its money is settled.")
    return state.open_quarter


@dataclass(frozen=True, slots=True)
class NotePreview:
    """A note as it would stand once approved, and the balance before and after, in dollars: what
    the running quarter has available, with the rollover still to come."""

    note: CreditNote
    creditable_cents: int
    available_before: Decimal
    available_after: Decimal

    @property
    def digest(self) -> str:
        return digest_of_note(self.note)


def digest_of_note(note: CreditNote) -> str:
    """Of what an approved note takes back, from where, and where its cents go."""
    return digest_of(
        str(note.invoice_id), note.kind, note.total_cents, note.as_credit, note.debited,
        str(note.commit_id), note.quarter_index, note.receivable_cents, note.customer_credit_cents,
        note.refund_cents,
    )  # fmt: skip


class _RollBackError(Exception):
    """Carries the approved note out of the database transaction that is given up."""

    def __init__(self, note: CreditNote, available: Decimal) -> None:
        super().__init__()
        self.note, self.available = note, available


def preview_credit_note(*, invoice_id: UUID, request: NoteRequest, now: datetime) -> NotePreview:
    """What a credit note would do if it were approved now. Changes nothing.

    Raises what asking for it and approving it would raise.
    """
    invoice = invoices.get_invoice(invoice_id=invoice_id)
    return _preview(
        invoice,
        lambda: request_note(
            invoice_id=invoice_id, request=request, actor=None, actor_name=MAKER, now=now
        ),
        now,
    )


def preview_approval(*, note_id: UUID, now: datetime) -> NotePreview:
    """What a note that waits would do if it were approved now. Changes nothing.

    Raises what approving it would raise.
    """
    note = credit_notes.get_note(note_id=note_id)
    return _preview(note.invoice, lambda: note, now)


def _preview(invoice: Invoice, ask: Callable[[], CreditNote], now: datetime) -> NotePreview:
    before = _available(invoice.commit_id, now)
    try:
        with transaction.atomic():
            note = ask()
            left = credit_notes.creditable_cents(invoice, CreditNoteKind(note.kind))
            approved = approve_credit_note_in(
                note_id=note.pk, actor=None, actor_name=CHECKER, now=now
            )
            raise _RollBackError(approved, _available(invoice.commit_id, now))
    except _RollBackError as given_up:
        after = given_up
    return NotePreview(after.note, left, before, after.available)


def _available(commit_id: UUID, now: datetime) -> Decimal:
    commit = Commit.objects.select_related("customer").filter(pk=commit_id).first()
    if commit is None:
        return ZERO
    balance = read_balance(customer=commit.customer, commit_id=commit_id, now=now)
    return balance.available + balance.pending_rollover
