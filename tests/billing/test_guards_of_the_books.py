"""What no program and no hand at a prompt can do to the books: broken here in plain SQL."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import Customer, Invoice, JournalEntry
from billing.services import audit, ledger, proof
from tests.billing import cast

pytestmark = pytest.mark.django_db(transaction=True)

Refused = Callable[..., None]


@pytest.fixture
def refused(acme: Customer) -> Refused:
    """A statement is refused with a sentence, and has changed nothing."""
    ledger.post_entry(entry=cast.usage_entry(acme, "e1", "22000"), now=cast.NOW)
    audit.record(at=cast.NOW, actor_name="ada", action="x", object_type="commit", object_ref="1")
    cast.make_invoice(acme)
    cast.make_customer("bolt")
    before = state()

    def check(sentence: str, *statements: str) -> None:
        with pytest.raises(IntegrityError, match=sentence), transaction.atomic():
            for statement in statements:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
        assert state() == before

    return check


def state() -> list[object]:
    tables = ("journalentry", "posting", "ledgeraccount", "auditevent", "invoice", "invoiceline")
    rows: list[object] = []
    for table in (*tables, "accountingperiod"):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM billing_{table} ORDER BY 1")  # noqa: S608
            rows.append(cursor.fetchall())
    return rows


ENTRY = """INSERT INTO billing_journalentry (key, code, customer_id, accounting_date, booked_at,
    description, fingerprint, evidence)
    SELECT 'planted', 'usage.drawdown', customer_id, '{day}', now(), '', 'x', '{{}}'
    FROM billing_journalentry WHERE key = 'e1'"""
POSTING = """INSERT INTO billing_posting (entry_id, account_id, amount)
    SELECT entry.id, account.id, {amount} FROM billing_journalentry entry,
    billing_ledgeraccount account WHERE entry.key = '{key}' AND account.code = '{code}'"""
PLANTED = ENTRY.format(day="2026-04-04")


def posting(amount: str, code: str, key: str = "planted") -> str:
    return POSTING.format(amount=amount, code=code, key=key)


@pytest.mark.parametrize(
    "table", ["journalentry", "posting", "ledgeraccount", "auditevent", "invoiceline", "invoice"]
)
def test_a_row_of_the_books_is_never_deleted_nor_its_table_emptied(
    refused: Refused, table: str
) -> None:
    refused("never", f"DELETE FROM billing_{table}")  # noqa: S608
    refused("never emptied", f"TRUNCATE billing_{table} CASCADE")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("journalentry", "booked_at", "now()"),
        ("journalentry", "accounting_date", "'2020-01-01'"),
        ("posting", "amount", "amount * 2"),
        ("auditevent", "actor_name", "'nobody'"),
        ("invoiceline", "amount_cents", "1"),
    ],
)
def test_a_row_of_the_books_is_never_changed(
    refused: Refused, table: str, column: str, value: str
) -> None:
    refused("is never changed", f"UPDATE billing_{table} SET {column} = {value}")  # noqa: S608


def test_an_entry_balances_at_the_commit(refused: Refused) -> None:
    debit, credit = posting("5", "deferred_revenue"), posting("-4", "usage_revenue")
    refused("two or more and sum to zero", PLANTED, debit, credit)
    refused("two or more and sum to zero", PLANTED, debit)
    refused("two or more and sum to zero", PLANTED)


def test_a_balanced_entry_may_come_in_pieces(refused: Refused) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(PLANTED)
        cursor.execute(posting("5", "deferred_revenue"))
        cursor.execute(posting("-5", "usage_revenue"))
    assert JournalEntry.objects.get(key="planted").postings.count() == 2


def test_a_posting_cannot_be_added_to_an_entry_of_last_year(refused: Refused) -> None:
    refused("sum to zero", posting("1", "deferred_revenue", key="e1"))


STRANGE = "an entry and to an account of its customer"
OTHERS = """INSERT INTO billing_ledgeraccount (code, customer_id, balance)
    SELECT 'bank', id, 0 FROM billing_customer WHERE key = 'bolt'"""


def test_a_posting_has_its_entry_and_its_account(refused: Refused) -> None:
    debit, credit = posting("5", "deferred_revenue"), posting("-5", "usage_revenue")
    no_entry = [one.replace("SELECT entry.id", "SELECT 1000000") for one in (debit, credit)]
    refused(STRANGE, PLANTED, debit, credit, *no_entry)
    no_account = debit.replace("account.id, 5", "1000000, 5")
    refused(STRANGE, PLANTED, no_account, credit)
    both_at_once = f"{no_account} UNION ALL {credit.partition('amount)')[2]}"
    refused(STRANGE, PLANTED, both_at_once)


def test_an_entry_posts_to_accounts_of_its_customer(refused: Refused) -> None:
    debit, credit = posting("5", "deferred_revenue"), posting("-5", "bank")
    refused(STRANGE, OTHERS, PLANTED, debit, credit)


@pytest.mark.parametrize("owner", ["acme", "bolt"])
def test_a_statement_of_postings_cannot_hide_one_to_anothers_account(
    refused: Refused, owner: str
) -> None:
    """One posting is in order, the other's account is of a customer before or after its own."""
    whose = f"(SELECT id FROM billing_customer WHERE key = '{owner}')"  # noqa: S608
    planted = PLANTED.replace("customer_id, '", f"{whose}, '")
    debit, credit = posting("5", "deferred_revenue"), posting("-5", "bank")
    refused(STRANGE, OTHERS, planted, f"{debit} UNION ALL {credit.partition('amount)')[2]}")


LINE = """INSERT INTO billing_invoiceline (invoice_id, position, kind, quarter_index, description,
    model, mode, meter, amount_cents, period_start, period_end, grant_ref)
    VALUES (gen_random_uuid(), 1, 'overage', 1, '', '', '', '', {cents}, now(), now(), '')"""
INVOICE = """INSERT INTO billing_invoice (id, customer_id, commit_id, occasion, occasion_ref,
    revision, state, total_cents, tax_cents, number, stripe_id, hosted_url, created_at,
    paid_outside_stripe, push_step, push_error, push_blocked, push_attempts)
    SELECT gen_random_uuid(), customer_id, commit_id, 'true_up', 'x', 1, 'draft', total_cents, 0,
    '', '', '', now(), false, 'nothing', '', false, 0 FROM billing_invoice"""


@pytest.mark.parametrize("cents", [0, 1])
def test_a_line_has_its_invoice(refused: Refused, cents: int) -> None:
    refused("add up to its total", LINE.format(cents=cents))


def test_an_invoice_has_lines(refused: Refused) -> None:
    refused("add up to its total", INVOICE)


def test_nothing_is_dated_in_a_locked_period(refused: Refused) -> None:
    lock = """INSERT INTO billing_accountingperiod (month, locked_at, locked_by)
        VALUES ('2026-03-01', now(), 'ada')"""
    planted = ENTRY.format(day="2026-03-31")
    both = (posting("5", "deferred_revenue"), posting("-5", "usage_revenue"))
    refused("2026-03 is locked", lock, planted, *both)


def test_an_entry_has_the_invoice_that_it_names(refused: Refused) -> None:
    nobody = PLANTED.replace("(key,", "(invoice_id, key,").replace(
        "SELECT 'planted'", "SELECT gen_random_uuid(), 'planted'"
    )
    debit, credit = posting("5", "deferred_revenue"), posting("-5", "usage_revenue")
    refused("the invoice of entry", nobody, debit, credit)


def test_an_entry_may_name_an_invoice_that_is_there(refused: Refused) -> None:
    drafted = PLANTED.replace("(key,", "(invoice_id, key,").replace(
        "SELECT 'planted'", "SELECT (SELECT id FROM billing_invoice LIMIT 1), 'planted'"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(drafted)
        cursor.execute(posting("5", "deferred_revenue"))
        cursor.execute(posting("-5", "usage_revenue"))
    assert JournalEntry.objects.get(key="planted").invoice is not None


@pytest.mark.parametrize("column", ["code", "customer_id", "commit_id", "quarter_index"])
def test_an_account_keeps_its_identity(refused: Refused, column: str) -> None:
    to = f"{column} = {'0' if column == 'customer_id' else 'NULL'}"
    refused("keeps its code", f"UPDATE billing_ledgeraccount SET {to}")  # noqa: S608
    refused("keeps its code", f"UPDATE billing_ledgeraccount SET balance = 1, {to}")  # noqa: S608


@pytest.mark.parametrize(
    "change", ["total_cents = 1", "commit_id = gen_random_uuid()", "occasion = 'activation'"]
)
def test_an_invoice_keeps_what_it_bills(refused: Refused, change: str) -> None:
    refused("keeps its customer", f"UPDATE billing_invoice SET {change}")  # noqa: S608


@pytest.mark.parametrize(
    "path",
    [
        ["paid"],
        ["uncollectible"],
        ["finalized", "draft"],
        ["finalized", "paid", "void"],
        ["finalized", "paid", "finalized"],
        ["void", "draft"],
        ["finalized", "uncollectible", "finalized"],
    ],
)
def test_an_invoice_only_moves_forward(refused: Refused, path: list[str]) -> None:
    moves = [f"UPDATE billing_invoice SET state = '{state}'" for state in path]  # noqa: S608
    refused("only moves forward", *moves)


def test_a_finalized_invoice_keeps_its_number(refused: Refused) -> None:
    refused(
        "keeps its number",
        "UPDATE billing_invoice SET state = 'finalized', number = 'A-1'",
        "UPDATE billing_invoice SET number = 'A-2'",
    )


def test_the_lines_of_an_invoice_add_up(refused: Refused) -> None:
    refused(
        "add up to its total",
        """INSERT INTO billing_invoiceline (invoice_id, position, kind, quarter_index, description,
           model, mode, meter, amount_cents, period_start, period_end, grant_ref)
           SELECT id, 99, 'overage', 1, '', '', '', '', 1, now(), now(), ''
           FROM billing_invoice""",
    )


def test_the_proof_finds_what_was_planted_behind_the_guards(acme: Customer) -> None:
    ledger.post_entry(entry=cast.usage_entry(acme, "e1", "22000"), now=cast.NOW)
    assert proof.ledger_problems() == []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE billing_posting SET amount = amount + 1 WHERE amount > 0")
        cursor.execute("UPDATE billing_journalentry SET description = 'planted'")
    problems = " ".join(proof.ledger_problems())
    assert "does not balance" in problems
    assert "says 22000" in problems
    assert "fingerprint differs" in problems


def test_an_invoice_begins_as_a_draft(acme: Customer) -> None:
    with pytest.raises(IntegrityError, match="begins as a draft"):
        Invoice.objects.create(
            id=uuid4(), customer=acme, commit_id=uuid4(), occasion="close", occasion_ref="1",
            state="paid", total_cents=0, created_at=cast.NOW,
        )  # fmt: skip
    assert not Invoice.objects.exists()
