"""Credit notes: where the money of one comes from and goes to, and its journal entries.

A credit note takes back, in whole cents, a part of what one invoice billed. What the customer has
not paid yet is taken off the receivable; what has been paid is owed back, as a refund or as a
credit with us. Pure: no database, no clock.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from billing.domain.journal import AccountCode, Entry, EntryCode, Scope, postings_of
from billing.domain.money import from_cents

Moves = tuple[tuple[AccountCode, int | None, Decimal], ...]


@dataclass(frozen=True, slots=True)
class Split:
    """Where a note's cents go: off the receivable, to the customer's credit, or back."""

    receivable: int = 0
    customer_credit: int = 0
    refund: int = 0

    @property
    def total(self) -> int:
        return self.receivable + self.customer_credit + self.refund


@dataclass(frozen=True, slots=True)
class NoteFacts:
    """What the books need to know of a credit note.

    `debited` is deferred revenue (of `scope` and `quarter_index`) for money that was billed in
    advance and not used, overage revenue for usage billed too high, and unbilled receivable where
    another entry has lowered that revenue already.
    """

    id: UUID
    invoice_id: UUID
    scope: Scope
    debited: AccountCode
    quarter_index: int


def split_of(cents: int, *, unpaid: int, as_credit: bool) -> Split:
    """What the customer still owes is lowered first; the rest is owed to the customer."""
    receivable = min(cents, max(0, unpaid))
    rest = cents - receivable
    return Split(receivable, rest, 0) if as_credit else Split(receivable, 0, rest)


def _entry(
    note: NoteFacts, what: str, code: EntryCode, on: date, words: str, moves: Moves
) -> Entry:
    return Entry(
        key=f"credit_note/{note.id}/{what}",
        code=code,
        scope=note.scope,
        accounting_date=on,
        postings=postings_of(note.scope, *moves),
        quarter_index=note.quarter_index,
        description=words,
        invoice_id=note.invoice_id,
        evidence={"credit_note": str(note.id)},
    )


def _owed(split: Split) -> Moves:
    return (
        (AccountCode.ACCOUNTS_RECEIVABLE, None, -from_cents(split.receivable)),
        (AccountCode.CUSTOMER_CREDITS, None, -from_cents(split.customer_credit)),
        (AccountCode.REFUNDS_PAYABLE, None, -from_cents(split.refund)),
    )


def issued(note: NoteFacts, split: Split, on: date, words: str) -> Entry:
    """Deferred revenue or revenue against receivable, customer credits or refunds payable."""
    moves = ((note.debited, note.quarter_index, from_cents(split.total)), *_owed(split))
    return _entry(note, "issued", EntryCode.CREDIT_NOTE_ISSUED, on, words, moves)


def moved(note: NoteFacts, before: Split, after: Split, on: date, *, number: int) -> Entry:
    """The customer paid, or had not paid yet, other than we knew when the note was booked."""
    change = Split(
        after.receivable - before.receivable,
        after.customer_credit - before.customer_credit,
        after.refund - before.refund,
    )
    words = "what was paid in the meantime is owed back, what was not is owed no more"
    what = f"moved/{number}"
    return _entry(note, what, EntryCode.CREDIT_NOTE_MOVED, on, words, _owed(change))


def refunded(note: NoteFacts, cents: int, on: date, *, outside_stripe: bool) -> Entry:
    """A refund was paid: by Stripe out of clearing, or outside of it from the bank."""
    source = AccountCode.BANK if outside_stripe else AccountCode.STRIPE_CLEARING
    code = EntryCode.REFUND_OUTSIDE if outside_stripe else EntryCode.REFUND_STRIPE
    dollars = from_cents(cents)
    moves = ((AccountCode.REFUNDS_PAYABLE, None, dollars), (source, None, -dollars))
    what = "refunded_outside" if outside_stripe else "refunded"
    return _entry(note, what, code, on, "refund paid", moves)
