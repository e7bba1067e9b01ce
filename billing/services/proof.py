"""Proves the books: re-derives what is cached, and asks of every entry and invoice what must hold.

Answers with one sentence for each thing that is wrong; none is the good answer. Reads only.
"""

from collections.abc import Iterator

from django.db import connection

from billing.domain.errors import InvariantViolation
from billing.domain.journal import (
    AccountCode,
    AccountKey,
    Entry,
    EntryCode,
    Posting,
    Scope,
    fingerprint,
)
from billing.models import JournalEntry
from billing.services.credit_note_proof import NOTE_QUERIES
from billing.services.write_off_proof import WRITE_OFF_QUERIES

_CHUNK = 2000

# Each query gives one row for each problem, its columns filling the sentence.
_QUERIES: tuple[tuple[str, str], ...] = (
    (
        "Entry {} does not balance: {} postings that sum to {}.",
        """SELECT entry.key, count(posting.id), coalesce(sum(posting.amount), 0)
           FROM billing_journalentry entry
           LEFT JOIN billing_posting posting ON posting.entry_id = entry.id
           GROUP BY entry.id HAVING count(posting.id) < 2 OR sum(posting.amount) <> 0""",
    ),
    (
        "Account {} of customer {} says {}, but its postings sum to {}.",
        """SELECT account.code, account.customer_id, account.balance,
                  coalesce(sum(posting.amount), 0)
           FROM billing_ledgeraccount account
           LEFT JOIN billing_posting posting ON posting.account_id = account.id
           GROUP BY account.id HAVING account.balance <> coalesce(sum(posting.amount), 0)""",
    ),
    (
        "Entry {} of customer {} posts to an account of customer {}.",
        """SELECT entry.key, entry.customer_id, account.customer_id
           FROM billing_posting posting
           JOIN billing_journalentry entry ON entry.id = posting.entry_id
           JOIN billing_ledgeraccount account ON account.id = posting.account_id
           WHERE account.customer_id <> entry.customer_id""",
    ),
    (
        "Entry {} is dated in {}, which was locked before it was booked.",
        """SELECT entry.key, to_char(period.month, 'YYYY-MM')
           FROM billing_journalentry entry JOIN billing_accountingperiod period
             ON period.month = date_trunc('month', entry.accounting_date)::date
           WHERE entry.booked_at > period.locked_at
             AND (period.unlocked_at IS NULL OR entry.booked_at < period.unlocked_at)""",
    ),
    (
        "The lines of invoice {} add up to {} cents, and its total is {}.",
        """SELECT invoice.id, coalesce(sum(line.amount_cents), 0), invoice.total_cents
           FROM billing_invoice invoice
           LEFT JOIN billing_invoiceline line ON line.invoice_id = invoice.id
           GROUP BY invoice.id HAVING coalesce(sum(line.amount_cents), 0) <> invoice.total_cents""",
    ),
    (
        "Invoice {} is {} and has {} issue entries.",
        """SELECT invoice.id, invoice.state, count(entry.id)
           FROM billing_invoice invoice LEFT JOIN billing_journalentry entry
             ON entry.invoice_id = invoice.id AND entry.code = 'invoice.issued'
           GROUP BY invoice.id
           HAVING count(entry.id) <> (invoice.issued_at IS NOT NULL)::int
               OR (invoice.issued_at IS NULL) <> (invoice.state = 'draft'
                   OR (invoice.state = 'void' AND invoice.number = ''))""",
    ),
    (
        "The issue of invoice {} debits receivables with {}, and the customer owes {}.",
        """SELECT invoice.id, posting.amount, (invoice.total_cents + invoice.tax_cents) / 100.0
           FROM billing_invoice invoice
           JOIN billing_journalentry entry
             ON entry.invoice_id = invoice.id AND entry.code = 'invoice.issued'
           JOIN billing_posting posting ON posting.entry_id = entry.id
           JOIN billing_ledgeraccount account
             ON account.id = posting.account_id AND account.code = 'accounts_receivable'
           WHERE posting.amount * 100 <> invoice.total_cents + invoice.tax_cents""",
    ),
    (
        "Invoice {} is {}, and {} of it stands in receivables.",
        """SELECT invoice.id, invoice.state, coalesce(sum(posting.amount), 0)
           FROM billing_invoice invoice
           LEFT JOIN (billing_posting posting
               JOIN billing_journalentry entry ON entry.id = posting.entry_id
               JOIN billing_ledgeraccount account
                 ON account.id = posting.account_id AND account.code = 'accounts_receivable')
             ON entry.invoice_id = invoice.id
           GROUP BY invoice.id
           HAVING coalesce(sum(posting.amount), 0) * 100 <> CASE invoice.state
               WHEN 'finalized' THEN invoice.total_cents + invoice.tax_cents -
                   (SELECT coalesce(sum(receivable_cents), 0) FROM billing_creditnote note
                    WHERE note.invoice_id = invoice.id AND note.state IN ('approved', 'issued'))
               ELSE 0 END""",
    ),
    (
        "Invoice {} is paid, and its payment entries come to {}.",
        """SELECT invoice.id, coalesce(-sum(posting.amount), 0)
           FROM billing_invoice invoice
           LEFT JOIN (billing_posting posting
               JOIN billing_journalentry entry ON entry.id = posting.entry_id
                 AND entry.code IN (
                     'payment.stripe', 'payment.outside_stripe', 'payment.customer_credit')
               JOIN billing_ledgeraccount account
                 ON account.id = posting.account_id AND account.code = 'accounts_receivable')
             ON entry.invoice_id = invoice.id
           WHERE invoice.state = 'paid' GROUP BY invoice.id
           HAVING coalesce(-sum(posting.amount), 0) * 100
               <> invoice.total_cents + invoice.tax_cents -
                   (SELECT coalesce(sum(receivable_cents), 0) FROM billing_creditnote note
                    WHERE note.invoice_id = invoice.id AND note.state IN ('approved', 'issued'))""",
    ),
    (
        "Customer {} has receivables of {} and open invoices of {}.",
        """SELECT account.customer_id, account.balance, open.dollars
           FROM billing_ledgeraccount account CROSS JOIN LATERAL (
               SELECT (coalesce(sum(total_cents + tax_cents), 0) - coalesce(sum((
                   SELECT sum(receivable_cents) FROM billing_creditnote note
                   WHERE note.invoice_id = invoice.id AND note.state IN ('approved', 'issued')
               )), 0)) / 100.0 AS dollars
               FROM billing_invoice invoice WHERE invoice.customer_id = account.customer_id
                 AND state = 'finalized') open
           WHERE account.code = 'accounts_receivable' AND account.balance <> open.dollars""",
    ),
)


def ledger_problems() -> list[str]:
    """Everything that is wrong with the journal, the accounts and the invoices."""
    problems = []
    for sentence, query in (*_QUERIES, *NOTE_QUERIES, *WRITE_OFF_QUERIES):
        with connection.cursor() as cursor:
            cursor.execute(query)
            problems += [sentence.format(*row) for row in cursor.fetchall()]
    return [*problems, *_fingerprint_problems()]


def _fingerprint_problems() -> Iterator[str]:
    entries = JournalEntry.objects.order_by("id").prefetch_related("postings__account")
    for booked in entries.iterator(chunk_size=_CHUNK):
        try:
            is_the_same = fingerprint(entry_of(booked)) == booked.fingerprint
        except (InvariantViolation, ValueError):
            is_the_same = False
        if not is_the_same:
            yield f"Entry {booked.key} is not what was booked: its fingerprint differs."


def entry_of(booked: JournalEntry) -> Entry:
    """A booked entry as the domain's value; its postings and their accounts are read."""
    postings = tuple(
        Posting(
            AccountKey(
                AccountCode(posting.account.code),
                posting.account.customer_id,
                posting.account.commit_id,
                posting.account.quarter_index,
            ),
            posting.amount,
        )
        for posting in booked.postings.all()
    )
    return Entry(
        key=booked.key,
        code=EntryCode(booked.code),
        scope=Scope(booked.customer_id, booked.commit_id),
        accounting_date=booked.accounting_date,
        postings=postings,
        quarter_index=booked.quarter_index,
        origin_quarter_index=booked.origin_quarter_index,
        description=booked.description,
        invoice_id=booked.invoice_id,
        usage_date=booked.usage_date,
        evidence=booked.evidence,
    )
