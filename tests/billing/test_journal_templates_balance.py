"""Every kind of entry is balanced by construction, and a wrong one cannot be built."""

import hashlib
import json
from datetime import date
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.domain import journal
from billing.domain.errors import InvariantViolation
from billing.domain.invoice_entries import (
    InvoiceFacts,
    LineAmount,
    collectible_again,
    issued,
    paid,
    uncollectible,
    voided,
)
from billing.domain.journal import AccountCode, Entry, EntryCode, Posting, Scope

COMMIT = UUID(int=7)
SCOPE = Scope(1, COMMIT)
DAY = date(2026, 4, 4)
DOLLARS = st.decimals("-1e20", "1e20", places=12)
CENTS = st.integers(0, 10**12)
LINES = st.lists(
    st.builds(
        LineAmount,
        st.sampled_from(["instalment", "true_up", "overage", "late_usage"]),
        st.integers(1, 6),
        CENTS,
    ),
    min_size=1,
    max_size=8,
).filter(lambda lines: any(line.cents for line in lines))


def entry_of(*moves: tuple[AccountCode, int | None, Decimal]) -> Entry:
    postings = journal.postings_of(SCOPE, *moves)
    return Entry("k", EntryCode.USAGE_DRAWDOWN, SCOPE, DAY, postings)


@given(drawn=DOLLARS, overage=DOLLARS)
def test_usage_of_any_sign_balances(drawn: Decimal, overage: Decimal) -> None:
    postings = journal.postings_of(SCOPE, *journal.usage_moves(2, drawn, overage))
    assert sum(posting.amount for posting in postings) == 0


@given(amount=DOLLARS.filter(bool), credit=DOLLARS)
def test_the_templates_of_a_close_balance(amount: Decimal, credit: Decimal) -> None:
    for moves in (
        journal.rollover_moves(1, 2, amount),
        journal.breakage_moves(1, amount, credit),
        journal.credit_moves(1, amount),
        journal.given_back_moves(1, amount),
        journal.residue_moves(amount),
    ):
        entry_of(*moves)


@given(lines=LINES, tax=CENTS)
def test_a_voided_invoice_leaves_nothing(lines: list[LineAmount], tax: int) -> None:
    invoice = InvoiceFacts(COMMIT, SCOPE, tuple(lines), tax)
    both = [*issued(invoice, DAY).postings, *voided(invoice, DAY).postings]
    assert left_on(both) == {}


@given(lines=LINES, tax=CENTS, outside=CENTS)
def test_a_paid_invoice_leaves_no_receivable(
    lines: list[LineAmount], tax: int, outside: int
) -> None:
    invoice = InvoiceFacts(COMMIT, SCOPE, tuple(lines), tax)
    postings = list(issued(invoice, DAY).postings)
    for entry in paid(invoice, DAY, outside_cents=outside):
        postings += entry.postings
    left = {account.code: amount for account, amount in left_on(postings).items()}
    assert AccountCode.ACCOUNTS_RECEIVABLE not in left
    received = left.get(AccountCode.BANK, 0) + left.get(AccountCode.STRIPE_CLEARING, 0)
    assert received == invoice.owed


@given(lines=LINES, unused=st.dictionaries(st.integers(1, 6), st.decimals(0, 10**9, places=12)))
def test_a_write_off_clears_the_receivable_and_can_be_undone(
    lines: list[LineAmount], unused: dict[int, Decimal]
) -> None:
    invoice = InvoiceFacts(COMMIT, SCOPE, tuple(lines))
    entry = uncollectible(invoice, DAY, unused_by_quarter=unused)
    assert entry is not None
    again = collectible_again(invoice, DAY, entry.postings)
    amounts = {posting.account.code: posting.amount for posting in entry.postings}
    assert amounts[AccountCode.ACCOUNTS_RECEIVABLE] == -invoice.owed
    assert amounts.get(AccountCode.BAD_DEBT, Decimal(0)) >= 0
    assert left_on([*entry.postings, *again.postings]) == {}


def left_on(postings: list[Posting]) -> dict[journal.AccountKey, Decimal]:
    totals: dict[journal.AccountKey, Decimal] = {}
    for posting in postings:
        totals[posting.account] = totals.get(posting.account, Decimal(0)) + posting.amount
    return {account: total for account, total in totals.items() if total}


BANK = SCOPE.account(AccountCode.BANK)
FEES = SCOPE.account(AccountCode.FEES)


@pytest.mark.parametrize(
    ("postings", "problem"),
    [
        ((Posting(BANK, Decimal(1)), Posting(FEES, Decimal(-2))), "differ"),
        ((), "fewer than two"),
        ((Posting(BANK, Decimal(0)), Posting(FEES, Decimal(0))), "zero"),
        (
            (Posting(BANK, Decimal("1E-13")), Posting(FEES, Decimal("-1E-13"))),
            "more than twelve decimals",
        ),
    ],
)
def test_a_wrong_entry_cannot_be_built(postings: tuple[Posting, ...], problem: str) -> None:
    with pytest.raises(InvariantViolation, match=problem):
        Entry("k", EntryCode.PAYMENT_STRIPE, SCOPE, DAY, postings)


def hashed(*said: object) -> str:
    """As Python's own JSON spells it, so that a faster way to it cannot change it unnoticed."""
    text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_fingerprint_is_the_one_that_older_entries_were_booked_with() -> None:
    invoice, text = UUID("c0ffee00-0000-4000-8000-0000000000ff"), 'Zürich "quoted" \\ \n \u2028'
    scope = Scope(12, UUID("0a0b0c0d-1111-4222-8333-444455556666"))
    moves = journal.usage_moves(3, Decimal("1.5"), Decimal("-1E-12"))
    entry = Entry(
        "k/1", EntryCode.USAGE_LATE, scope, DAY, journal.postings_of(scope, *moves), 3, 1, text,
        invoice, date(2026, 4, 3), {"b": [1, None, text], "a": {"z": "1", "y": 2}},
    )  # fmt: skip
    commit = str(scope.commit_id)
    postings = [
        ["12", commit, "0", "overage_revenue", "0.000000000001"],
        ["12", commit, "0", "unbilled_receivable", "-0.000000000001"],
        ["12", commit, "0", "usage_revenue", "-1.500000000000"],
        ["12", commit, "3", "deferred_revenue", "1.500000000000"],
    ]
    assert journal.fingerprint(entry) == hashed(
        "k/1", "usage.late", 12, commit, 3, 1, "2026-04-04", "2026-04-03", text, str(invoice),
        {"a": {"y": 2, "z": "1"}, "b": [1, None, text]}, postings,
    )  # fmt: skip


def test_the_fingerprint_says_nothing_where_there_is_nothing() -> None:
    scope, moves = Scope(1), journal.payment_moves(Decimal(1), outside_stripe=True)
    postings = [["1", "", "0", "accounts_receivable", "-1.000000000000"]]
    postings += [["1", "", "0", "bank", "1.000000000000"]]
    entry = Entry("k", EntryCode.PAYMENT_OUTSIDE, scope, DAY, journal.postings_of(scope, *moves))
    assert journal.fingerprint(entry) == hashed(
        "k", "payment.outside_stripe", 1, "", None, None, "2026-04-04", None, "", "", {}, postings
    )


def test_the_fingerprint_tells_content_and_not_the_order_of_postings() -> None:
    moves = journal.payment_moves(Decimal(5), outside_stripe=False)
    entry = entry_of(*moves)
    turned = Entry("k", entry.code, SCOPE, DAY, tuple(reversed(entry.postings)))
    other = entry_of(*journal.payment_moves(Decimal(6), outside_stripe=False))
    assert journal.fingerprint(entry) == journal.fingerprint(turned)
    assert journal.fingerprint(entry) != journal.fingerprint(other)
