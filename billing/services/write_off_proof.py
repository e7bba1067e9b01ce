"""What must hold of write-offs: questions that `proof` asks, one row for each problem."""

WRITE_OFF_QUERIES: tuple[tuple[str, str], ...] = (
    (
        "Write-off {} is {} and has {} entries.",
        """SELECT asked.id, asked.state, count(entry.id)
           FROM billing_writeoff asked LEFT JOIN billing_journalentry entry
             ON entry.evidence ->> 'write_off' = asked.id::text
                AND entry.code = 'invoice.written_off' AND entry.invoice_id = asked.invoice_id
           GROUP BY asked.id HAVING count(entry.id) <> (asked.state = 'approved')::int
               -- Of what nobody used, and where it was billed, nothing stands in the books.
               AND NOT (count(entry.id) = 0 AND asked.unused_cents = asked.total_cents)""",
    ),
    (
        "Invoice {} was written off, and is {}.",
        """SELECT invoice.id, invoice.state
           FROM billing_writeoff asked JOIN billing_invoice invoice ON invoice.id = asked.invoice_id
           WHERE asked.state = 'approved' AND invoice.state <> 'void'""",
    ),
    (
        "Write-off {} gives up {} cents, {} of them unused; its bad debt is {} dollars.",
        """SELECT asked.id, asked.total_cents, asked.unused_cents, coalesce(sum(posting.amount), 0)
           FROM billing_writeoff asked JOIN billing_invoice invoice ON invoice.id = asked.invoice_id
           LEFT JOIN (billing_posting posting
               JOIN billing_journalentry entry ON entry.id = posting.entry_id
               JOIN billing_ledgeraccount account
                 ON account.id = posting.account_id AND account.code = 'bad_debt')
             ON entry.evidence ->> 'write_off' = asked.id::text
           WHERE asked.state = 'approved' GROUP BY asked.id, invoice.total_cents
           HAVING coalesce(sum(posting.amount), 0) * 100 <> asked.total_cents - asked.unused_cents
               OR asked.total_cents <> invoice.total_cents
               OR asked.unused_cents <> (SELECT coalesce(sum((part ->> 2)::bigint), 0)
                                         FROM jsonb_array_elements(asked.withdrawn) part)""",
    ),
)
