"""Booking is idempotent, keeps its cached balances right, and stands many hands at once."""

import threading
from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import msgspec
import pytest
from django.db import connection

from billing.domain.errors import Conflict, IdempotencyConflict
from billing.domain.journal import AccountCode, EntryCode, Scope
from billing.models import AccountingPeriod, Customer, JournalEntry, LedgerAccount, Posting
from billing.services import ledger, proof
from tests.billing import cast


def test_the_same_entry_again_is_there_already(acme: Customer) -> None:
    entry = cast.usage_entry(acme, "e1", "22000")
    assert ledger.post_entry(entry=entry, now=cast.NOW)
    assert not ledger.post_entry(entry=entry, now=cast.NOW)
    assert Posting.objects.count() == 2
    assert ledger.balance(Scope(acme.pk, UUID(int=5)).account(AccountCode.USAGE_REVENUE)) == -22000


def test_the_same_key_with_other_content_books_nothing_of_the_batch(acme: Customer) -> None:
    ledger.post_entry(entry=cast.usage_entry(acme, "e1", "22000"), now=cast.NOW)
    batch = [cast.usage_entry(acme, "e0", "1"), cast.usage_entry(acme, "e1", "22001")]
    with pytest.raises(IdempotencyConflict) as refused:
        ledger.post_entries(entries=batch, now=cast.NOW)
    assert refused.value.code == "entry_key_reused"


@pytest.mark.django_db(transaction=True)
def test_a_refused_batch_leaves_no_trace(acme: Customer) -> None:
    ledger.post_entry(entry=cast.usage_entry(acme, "e1", "22000"), now=cast.NOW)
    batch = [cast.payment_entry(acme, "e0", "1"), cast.usage_entry(acme, "e1", "22001")]
    with pytest.raises(IdempotencyConflict):
        ledger.post_entries(entries=batch, now=cast.NOW)
    assert [entry.key for entry in JournalEntry.objects.all()] == ["e1"]
    assert LedgerAccount.objects.count() == 2
    assert proof.ledger_problems() == []


def test_one_call_cannot_say_two_things_under_one_key(acme: Customer) -> None:
    with pytest.raises(IdempotencyConflict):
        ledger.post_entries(
            entries=[cast.usage_entry(acme, "e", "1"), cast.usage_entry(acme, "e", "2")],
            now=cast.NOW,
        )
    assert not JournalEntry.objects.exists()


def test_a_batch_counts_only_what_is_new(acme: Customer) -> None:
    entries = [cast.usage_entry(acme, f"e{n}", "0.000000000001") for n in range(50)]
    assert ledger.post_entries(entries=entries[:20], now=cast.NOW) == 20
    assert ledger.post_entries(entries=entries, now=cast.NOW) == 30
    assert ledger.post_entries(entries=[], now=cast.NOW) == 0
    assert ledger.post_entries(entries=entries, now=cast.NOW) == 0
    deferred = LedgerAccount.objects.get(code="deferred_revenue")
    assert deferred.balance == Decimal("0.00000000005")
    assert proof.ledger_problems() == []


@pytest.mark.parametrize("odd_one", [None, 0, 1, 2])
def test_what_is_alike_in_a_batch_and_what_is_not_is_booked_as_it_was_said(
    acme: Customer, odd_one: int | None
) -> None:
    """Also where what differs is something in one entry and nothing in the others, or the reverse.
    The fingerprints, taken of what was said, are compared with what the books say."""
    invoice = cast.make_invoice(acme)
    odd = {
        "code": EntryCode.USAGE_REVERSED, "accounting_date": date(2026, 4, 1), "quarter_index": 3,
        "origin_quarter_index": 2, "usage_date": date(2026, 4, 2), "description": 'says "{1,2}" \\',
        "invoice_id": invoice.pk, "evidence": {"rest": [1, None, '"']},
    }  # fmt: skip
    usual = cast.usage_entry(acme, "e", "1")
    for ones, others in ((odd, {}), ({}, odd)):
        for name in odd:
            said = [
                msgspec.structs.replace(
                    usual,
                    key=f"{name}/{len(ones)}/{place}",
                    **{
                        name: (ones if place == odd_one else others).get(name, getattr(usual, name))
                    },
                )
                for place in range(3)
            ]
            assert ledger.post_entries(entries=said, now=cast.NOW) == 3
            booked = JournalEntry.objects.filter(key__startswith=f"{name}/{len(ones)}/")
            assert [proof.entry_of(entry) for entry in booked.order_by("key")] == said
    assert not [one for one in proof.ledger_problems() if not one.startswith("Invoice")]


def test_a_batch_of_several_customers_and_of_no_commit(acme: Customer) -> None:
    bolt = cast.make_customer("bolt")
    entries = [
        cast.usage_entry(acme, "a", "1"), cast.payment_entry(bolt, "b", "2"),
        cast.usage_entry(bolt, "c", "3", commit_id=uuid4()), cast.payment_entry(acme, "d", "4"),
    ]  # fmt: skip
    assert ledger.post_entries(entries=entries, now=cast.NOW) == 4
    booked = JournalEntry.objects.order_by("key")
    assert [proof.entry_of(entry) for entry in booked] == entries
    assert LedgerAccount.objects.filter(customer=bolt).count() == 4


def test_the_trial_balance_goes_by_accounting_date_and_adds_up(acme: Customer) -> None:
    bolt = cast.make_customer("bolt")
    commit = uuid4()
    for customer, key, on in (
        (acme, "a", date(2026, 3, 31)), (acme, "b", date(2026, 4, 1)), (bolt, "c", cast.TODAY),
    ):  # fmt: skip
        entry = cast.usage_entry(customer, key, "10", on=on, commit_id=commit)
        ledger.post_entry(entry=entry, now=cast.NOW)

    def debits(**asked: object) -> Decimal:
        rows = ledger.trial_balance(**asked)  # type: ignore[arg-type]
        assert sum(row.debit for row in rows) == sum(row.credit for row in rows)
        return sum((row.debit for row in rows), Decimal(0))

    assert debits(as_of=None) == 30
    assert debits(as_of=date(2026, 3, 31)) == 10
    assert debits(as_of=None, customer_id=acme.pk) == 20
    assert debits(as_of=date(2026, 4, 1), customer_id=acme.pk) == 20
    assert debits(as_of=None, commit_id=commit) == 30
    assert debits(as_of=None, commit_id=uuid4()) == 0


def test_the_first_open_date_is_past_every_locked_month(acme: Customer) -> None:
    for month in (date(2026, 4, 1), date(2026, 5, 1), date(2026, 12, 1)):
        AccountingPeriod.objects.create(month=month, locked_at=cast.NOW, locked_by="ada")
    assert ledger.first_open_date(not_before=date(2026, 3, 31)) == date(2026, 3, 31)
    assert ledger.first_open_date(not_before=date(2026, 4, 30)) == date(2026, 6, 1)
    assert ledger.first_open_date(not_before=date(2026, 12, 31)) == date(2027, 1, 1)
    with pytest.raises(Conflict) as refused:
        ledger.post_entry(entry=cast.usage_entry(acme, "e", "1"), now=cast.NOW)
    assert refused.value.code == "accounting_period_locked"


@pytest.mark.django_db(transaction=True)
def test_many_hands_on_the_same_accounts_in_any_order(acme: Customer) -> None:
    """No deadlock, no lost update: also where accounts are created by several at once."""
    customers = [acme, *(cast.make_customer(f"c{n}") for n in range(5))]
    failures: list[BaseException] = []
    start = threading.Barrier(6)

    def work(hand: int) -> None:
        try:
            start.wait()
            for round_ in range(15):
                order = customers[hand % 6 :] + customers[: hand % 6]
                entries = [
                    cast.usage_entry(customer, f"{round_}/{customer.key}/{hand % 3}", "1.5")
                    for customer in (order if hand % 2 else reversed(order))
                ]
                ledger.post_entries(entries=entries, now=cast.NOW)
        except BaseException as failure:
            failures.append(failure)
        finally:
            connection.close()

    hands = [threading.Thread(target=work, args=(hand,)) for hand in range(6)]
    for thread in hands:
        thread.start()
    for thread in hands:
        thread.join()
    assert failures == []
    # Hands 0 and 3, 1 and 4, 2 and 5 sent the same keys: each is booked once.
    assert JournalEntry.objects.count() == 15 * 6 * 3
    assert proof.ledger_problems() == []
