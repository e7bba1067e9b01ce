"""What must hold of credit notes: questions that `proof` asks, one row for each problem."""

NOTE_QUERIES: tuple[tuple[str, str], ...] = (
    (
        "Credit note {} is {} and has {} issue entries.",
        """SELECT note.id, note.state, count(entry.id)
           FROM billing_creditnote note LEFT JOIN billing_journalentry entry
             ON entry.key = 'credit_note/' || note.id || '/issued'
           GROUP BY note.id
           HAVING count(entry.id) <> (note.state IN ('approved', 'issued'))::int""",
    ),
    (
        "The entries of credit note {} take {} from {}, and it is of {} cents.",
        """SELECT note.id, coalesce(sum(posting.amount), 0), note.debited, note.total_cents
           FROM billing_creditnote note
           LEFT JOIN (billing_posting posting
               JOIN billing_journalentry entry ON entry.id = posting.entry_id
               JOIN billing_ledgeraccount account ON account.id = posting.account_id)
             ON entry.key LIKE 'credit_note/' || note.id || '/%'
                AND account.code = note.debited
           WHERE note.state IN ('approved', 'issued') GROUP BY note.id
           HAVING coalesce(sum(posting.amount), 0) * 100 <> note.total_cents""",
    ),
    (
        "Credit notes owe customer {} refunds of {} cents, and the books {} dollars.",
        """SELECT customer.id, owed.cents, coalesce(-account.balance, 0)
           FROM billing_customer customer
           LEFT JOIN billing_ledgeraccount account
             ON account.customer_id = customer.id AND account.code = 'refunds_payable'
           CROSS JOIN LATERAL (
               SELECT coalesce(sum(
                   CASE note.state WHEN 'issued' THEN CASE WHEN note.refunded_outside_at IS NULL
                       THEN note.refund_outside_cents ELSE 0 END
                   ELSE note.refund_cents END), 0) AS cents
               FROM billing_creditnote note JOIN billing_invoice invoice
                 ON invoice.id = note.invoice_id
               WHERE invoice.customer_id = customer.id
                 AND note.state IN ('approved', 'issued')) owed
           WHERE owed.cents <> coalesce(-account.balance, 0) * 100""",
    ),
    (
        "Credit notes take {} cents back from invoice {}, which billed {}.",
        """SELECT sum(note.total_cents), invoice.id, invoice.total_cents
           FROM billing_creditnote note JOIN billing_invoice invoice
             ON invoice.id = note.invoice_id
           WHERE note.state <> 'rejected'
           GROUP BY invoice.id HAVING sum(note.total_cents) > invoice.total_cents""",
    ),
)
