"""The journal entries of an invoice's life: issued, paid, voided, uncollectible, written off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from billing.domain.journal import (
    AccountCode,
    Entry,
    EntryCode,
    Posting,
    Scope,
    merged,
    payment_moves,
    postings_of,
    reversed_postings,
    uncollectible_moves,
)
from billing.domain.money import ZERO, from_cents

# Lines that bill money in advance: they become balance. The others bill what was used already.
IN_ADVANCE = frozenset({"instalment", "true_up"})


@dataclass(frozen=True, slots=True)
class LineAmount:
    """What one line bills: its kind, the quarter that it is for, and whole cents."""

    kind: str
    quarter_index: int
    cents: int


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """What the books need to know of an invoice. `credited_cents` is what credit notes have taken
    off what the customer still owes on it."""

    id: UUID
    scope: Scope
    lines: tuple[LineAmount, ...]
    tax_cents: int = 0
    credited_cents: int = 0

    @property
    def owed(self) -> Decimal:
        """What the customer owes on it in dollars, tax included."""
        return from_cents(sum(line.cents for line in self.lines) + self.tax_cents)

    @property
    def outstanding(self) -> Decimal:
        """What of it stands in receivables until it is paid: what is owed, less credit notes."""
        return self.owed - from_cents(self.credited_cents)


def _entry(
    invoice: InvoiceFacts, what: str, code: EntryCode, on: date, postings: tuple[Posting, ...]
) -> Entry:
    return Entry(
        key=f"invoice/{invoice.id}/{what}",
        code=code,
        scope=invoice.scope,
        accounting_date=on,
        postings=postings,
        invoice_id=invoice.id,
    )


def issued(invoice: InvoiceFacts, on: date) -> Entry:
    """Receivable against deferred revenue (money in advance, by quarter), unbilled receivable
    (usage whose revenue stands already) and sales tax."""
    moves: list[tuple[AccountCode, int | None, Decimal]] = [
        (AccountCode.ACCOUNTS_RECEIVABLE, None, invoice.owed),
        (AccountCode.SALES_TAX_PAYABLE, None, -from_cents(invoice.tax_cents)),
    ]
    for line in invoice.lines:
        in_advance = line.kind in IN_ADVANCE
        code = AccountCode.DEFERRED_REVENUE if in_advance else AccountCode.UNBILLED_RECEIVABLE
        moves.append((code, line.quarter_index if in_advance else None, -from_cents(line.cents)))
    postings = postings_of(invoice.scope, *moves)
    return _entry(invoice, "issued", EntryCode.INVOICE_ISSUED, on, postings)


def voided(invoice: InvoiceFacts, on: date) -> Entry:
    """The exact reverse of its issue."""
    postings = reversed_postings(issued(invoice, on).postings)
    return _entry(invoice, "voided", EntryCode.INVOICE_VOIDED, on, postings)


def paid(
    invoice: InvoiceFacts, on: date, *, outside_cents: int, customer_credit_cents: int = 0
) -> list[Entry]:
    """What came through Stripe into clearing, what came outside of it into the bank.

    `outside_cents` is the part that Stripe was only told about, `customer_credit_cents` what came
    off a credit that the customer had with us; one entry for each part.
    """
    outside = min(from_cents(outside_cents), invoice.outstanding)
    credit = min(from_cents(customer_credit_cents), invoice.outstanding - outside)
    through_stripe = invoice.outstanding - outside - credit
    by_credit = (
        (AccountCode.CUSTOMER_CREDITS, None, credit),
        (AccountCode.ACCOUNTS_RECEIVABLE, None, -credit),
    )
    parts = (
        ("paid", EntryCode.PAYMENT_STRIPE, payment_moves(through_stripe, outside_stripe=False)),
        ("paid_outside", EntryCode.PAYMENT_OUTSIDE, payment_moves(outside, outside_stripe=True)),
        ("paid_by_credit", EntryCode.PAYMENT_CUSTOMER_CREDIT, by_credit),
    )
    return [
        _entry(invoice, what, code, on, postings)
        for what, code, moves in parts
        if (postings := postings_of(invoice.scope, *moves))
    ]


def uncollectible(
    invoice: InvoiceFacts, on: date, *, unused_by_quarter: Mapping[int, Decimal]
) -> Entry | None:
    """A bad debt: what was earned is an expense, what nobody used goes back to deferred revenue.

    `unused_by_quarter` is cut down to what this invoice billed in advance for each quarter. None
    where credit notes have taken all of it back: then nothing was owed any more.
    """
    unused: list[tuple[int, Decimal]] = []
    earned = invoice.outstanding
    for quarter, dollars in sorted(in_advance_by_quarter(invoice.lines).items()):
        part = min(dollars, unused_by_quarter.get(quarter, ZERO), earned)
        if part > 0:
            unused.append((quarter, part))
            earned -= part
    postings = postings_of(invoice.scope, *uncollectible_moves(earned, unused))
    if not postings:
        return None
    return _entry(invoice, "uncollectible", EntryCode.INVOICE_UNCOLLECTIBLE, on, postings)


def collectible_again(invoice: InvoiceFacts, on: date, written_off: Sequence[Posting]) -> Entry:
    """The reverse of the write-off, before a late payment or a void of the invoice."""
    return _entry(
        invoice,
        "collectible_again",
        EntryCode.INVOICE_UNCOLLECTIBLE,
        on,
        reversed_postings(written_off),
    )


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Money of one quarter that nobody has used and that can be drawn no more, in whole cents."""

    commit_id: UUID
    quarter_index: int
    cents: int


def written_off(
    invoice: InvoiceFacts, on: date, *, withdrawn: Sequence[Withdrawn], write_off: UUID, words: str
) -> Entry | None:
    """What a void left standing is given up: what was used is a bad debt, and what was not used
    (`withdrawn`, wherever its money stands by now) is owed to the customer no more.

    As if it had been issued again and never paid. Sales tax was reversed by the void. None where
    nothing of it was used and its money has not moved: then there is nothing to book.
    """
    billed = from_cents(sum(line.cents for line in invoice.lines))
    unused = from_cents(sum(item.cents for item in withdrawn))
    moves: list[tuple[AccountCode, int | None, Decimal]] = [
        (AccountCode.BAD_DEBT, None, billed - unused)
    ]
    for line in invoice.lines:
        in_advance = line.kind in IN_ADVANCE
        code = AccountCode.DEFERRED_REVENUE if in_advance else AccountCode.UNBILLED_RECEIVABLE
        moves.append((code, line.quarter_index if in_advance else None, -from_cents(line.cents)))
    postings = [*postings_of(invoice.scope, *moves)]
    for item in withdrawn:
        scope = Scope(invoice.scope.customer_id, item.commit_id)
        postings += postings_of(
            scope, (AccountCode.DEFERRED_REVENUE, item.quarter_index, from_cents(item.cents))
        )
    balanced = merged(postings)
    if not balanced:
        return None
    return Entry(
        key=f"invoice/{invoice.id}/written_off",
        code=EntryCode.INVOICE_WRITTEN_OFF,
        scope=invoice.scope,
        accounting_date=on,
        postings=balanced,
        description=words,
        invoice_id=invoice.id,
        evidence={"write_off": str(write_off)},
    )


def in_advance_by_quarter(lines: Sequence[LineAmount]) -> dict[int, Decimal]:
    """Dollars billed in advance, by quarter."""
    billed: dict[int, Decimal] = {}
    for line in lines:
        if line.kind in IN_ADVANCE:
            billed[line.quarter_index] = billed.get(line.quarter_index, ZERO) + from_cents(
                line.cents
            )
    return billed
