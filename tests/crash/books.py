"""Everything that the books say, as plain data: what must not depend on where a process died.

Left out is what goes by real time (leases, calls, back-off), what Stripe makes up (its ids and
numbers), and our row ids, because sequences have gaps: a quarter is named by its place instead.
"""

from __future__ import annotations

from django.db import connection

# Table, and its columns that may differ.
TABLES: dict[str, tuple[str, ...]] = {
    "billing_auditevent": ("id",),
    "billing_customer": ("stripe_customer_id",),
    "billing_invoice": (
        "number", "stripe_id", "hosted_url", "push_error", "push_attempts", "push_next_at",
        "push_leased_until",
    ),
    "billing_invoiceline": ("id",),
    "billing_jobrun": ("id", "finished_at"),
    "commits_bookedday": ("id", "quarter_id"),
    "commits_close": ("id", "quarter_id"),
    "commits_commit": (),
    "commits_grant": ("id", "quarter_id"),
    "commits_quarter": ("id", "usage_period_id"),
    "commits_trueup": (),
    "metering_unratedusage": ("id", "chunk_id", "place"),
    "metering_usageday": ("id",),
    # Which events came in one chunk depends on who waited for whom.
    "metering_everyusageevent": ("chunk_id", "place"),
    "metering_usagevoid": ("id", "chunk_id", "place"),
    "metering_usagehour": ("id",),
    "metering_usagetotal": ("id",),
    "metering_usagestate": ("terms_version",),
}  # fmt: skip
OF_QUARTERS = ("commits_bookedday", "commits_close", "commits_grant")
QUARTER = """ || (
    SELECT jsonb_build_object('quarter', jsonb_build_array(commit_id, index))
    FROM commits_quarter quarter WHERE quarter.id = kept.quarter_id)"""
ENTRIES = """
SELECT to_jsonb(entry) - '{id}'::text[] || jsonb_build_object('postings', (
    SELECT jsonb_agg(jsonb_build_array(account.code, account.commit_id, account.quarter_index,
                                       posting.amount)
                     ORDER BY account.code, account.commit_id, account.quarter_index)
    FROM billing_posting posting JOIN billing_ledgeraccount account
        ON account.id = posting.account_id
    WHERE posting.entry_id = entry.id))
FROM billing_journalentry entry"""
BALANCES = "SELECT to_jsonb(account) - 'id' FROM billing_ledgeraccount account WHERE balance <> 0"

Books = dict[str, list[str]]


def read_books() -> Books:
    """Every row that counts, as text, sorted, by table."""
    queries = {
        table: f"SELECT to_jsonb(kept) - %s::text[]{named} FROM {table} kept"  # noqa: S608
        for table in TABLES
        for named in [QUARTER if table in OF_QUARTERS else ""]
    }
    books = {}
    with connection.cursor() as cursor:
        for table, query in queries.items():
            cursor.execute(f"SELECT row::text FROM ({query}) AS rows (row)", [list(TABLES[table])])  # noqa: S608
            books[table] = sorted(text for (text,) in cursor.fetchall())
        for name, query in (("entries", ENTRIES), ("balances", BALANCES)):
            cursor.execute(f"SELECT row::text FROM ({query}) AS rows (row)")  # noqa: S608
            books[name] = sorted(text for (text,) in cursor.fetchall())
    return books


def read_problems() -> list[str]:
    """What the three proofs complain of."""
    from billing.services import proof as billing_proof
    from commits.services import proof as commits_proof
    from metering.services import proof as metering_proof

    return [
        *billing_proof.ledger_problems(),
        *metering_proof.rederive_rollups(),
        *commits_proof.commit_problems(),
    ]
