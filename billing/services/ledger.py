"""Books journal entries, and reads balances: the one way into and out of the journal.

Owns idempotency (a key with a fingerprint), the creation and locking of accounts, and the cached
balances. What an entry means is decided by `billing.domain.journal` and by whoever builds it;
that it balances is guarded again by the database.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

import msgspec
from django.db import IntegrityError, connection
from django.db.models import Q, QuerySet, Sum

from billing.domain.array_format import array_of, array_of_json
from billing.domain.errors import Conflict, IdempotencyConflict
from billing.domain.journal import (
    AccountCode,
    AccountKey,
    Entry,
    EntryCode,
    SpelledPosting,
    fingerprint,
    spelled_postings,
)
from billing.domain.money import ZERO
from billing.models import AccountingPeriod, JournalEntry, LedgerAccount, Posting
from billing.models.ledger import NO_COMMIT
from billing.services.prepared import server_cursor

_BOOK = """
SELECT billing_book(%s, %s::bigint[], %s::uuid[], %s::int[], %s::text[],
    %s::text[], %s::text[], %s::bigint[], %s::uuid[], %s::int[], %s::int[], %s::date[],
    %s::date[], %s::text[], %s::uuid[], %s::text[], %s::jsonb[],
    %s::int[], %s::int[], %s::numeric[])"""


def post_entries(*, entries: Sequence[Entry], now: datetime) -> int:
    """Book entries, each once: how many were new.

    An entry whose key is booked with the same content is passed over; other content raises
    IdempotencyConflict and books nothing. Locks the accounts of all entries in sort order until
    the database transaction ends: call it once in a transaction, with everything.
    """
    unique: dict[str, _Told] = {}
    for entry in sorted(entries, key=attrgetter("key")):
        spelled = spelled_postings(entry)
        print_ = fingerprint(entry, spelled)
        if unique.setdefault(entry.key, (entry, spelled, print_))[2] != print_:
            raise IdempotencyConflict("entry_key_reused", f"{entry.key} says two things")
    if not unique:
        return 0
    booked = list(unique.values())
    # One statement does it all, so it needs no database transaction of its own.
    try:
        with server_cursor() as cursor:
            with _together_with_begin():
                cursor.execute(_BOOK, [now, *_columns(booked)], prepare=True)
            answer = cursor.fetchone()
            return int(answer[0]) if answer else 0
    except IntegrityError as error:
        if _constraint_of(error) == "the_key_of_an_entry_is_used_once":
            raise IdempotencyConflict("entry_key_reused", _sentence_of(error)) from error
        if _constraint_of(error) == "an_entry_is_never_dated_in_a_locked_period":
            raise Conflict("accounting_period_locked", _sentence_of(error)) from error
        raise


def post_entry(*, entry: Entry, now: datetime) -> bool:
    """Book one entry once: whether it was new."""
    return post_entries(entries=[entry], now=now) == 1


def _together_with_begin() -> AbstractContextManager[object]:
    """BEGIN goes out with the first statement of a transaction, not on a round trip of its own."""
    return connection.connection.pipeline() if connection.in_atomic_block else nullcontext()


def _constraint_of(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "constraint_name", "") or "")


def _sentence_of(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return str(getattr(diagnosis, "message_primary", "") or error)


_spell = msgspec.json.Encoder().encode

_Value = TypeVar("_Value")

# An entry, its postings as they are spelled, and its fingerprint.
_Told = tuple[Entry, list[SpelledPosting], str]


def _columns(booked: Sequence[_Told]) -> list[str]:
    """Accounts in sort order, entries and postings: the arrays that _BOOK takes, as text.

    A posting names its entry and its account by their place, from 1. What is alike in all entries
    is said once, and so is the customer of all accounts.
    """
    accounts = sorted({account for _, spelled, _ in booked for account, _ in spelled})
    place_of = {account: place for place, account in enumerate(accounts, start=1)}
    owners, owning, quarters, codes = zip(*accounts, strict=True)
    postings = [
        (place, place_of[account], amount)
        for place, (_, spelled, _) in enumerate(booked, start=1)
        for account, amount in spelled
    ]
    entries = [entry for entry, _, _ in booked]
    no_commit = str(NO_COMMIT)
    return [
        _array_of(owners),
        array_of([commit or no_commit for commit in owning]),
        array_of(quarters),
        array_of(codes),
        *_entry_columns(entries),
        array_of([print_ for _, _, print_ in booked]),
        array_of_json(_alike([_spell(entry.evidence).decode() for entry in entries])),
        *map(array_of, zip(*postings, strict=True)),
    ]


def _entry_columns(entries: Sequence[Entry]) -> tuple[str, ...]:
    """What the columns of _BOOK from the keys to the invoices are of."""
    return (
        array_of([entry.key for entry in entries]),
        _array_of([entry.code for entry in entries]),
        _array_of([entry.scope.customer_id for entry in entries]),
        array_of([entry.scope.commit_id for entry in entries]),
        _array_of([entry.quarter_index for entry in entries]),
        _array_of([entry.origin_quarter_index for entry in entries]),
        _array_of([entry.accounting_date for entry in entries]),
        _array_of([entry.usage_date for entry in entries]),
        _array_of([entry.description for entry in entries]),
        _array_of([entry.invoice_id for entry in entries]),
    )


def _array_of(values: Sequence[object]) -> str:
    return array_of(_alike(values))


def _alike(values: Sequence[_Value]) -> Sequence[_Value]:
    """The first of them, if all are equal: billing_book repeats it."""
    return values[:1] if values.count(values[0]) == len(values) else values


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """The net balance of one account code, in the column of its sign."""

    code: AccountCode
    debit: Decimal
    credit: Decimal


def balance(account: AccountKey) -> Decimal:
    """The balance of one account as booked, debit positive; zero if nothing was ever booked."""
    found = LedgerAccount.objects.filter(
        customer_id=account.customer_id,
        commit_id=account.commit_id,
        quarter_index=account.quarter_index,
        code=account.code.value,
    ).values_list("balance", flat=True)
    return found.first() or ZERO


def trial_balance(
    *, as_of: date | None, customer_id: int | None = None, commit_id: UUID | None = None
) -> list[TrialBalanceRow]:
    """Net balances by account code in the order of the chart, accounts at zero left out.

    Counts entries with an accounting date up to and including `as_of`; None counts all. For a
    commit it counts the entries of that commit, receivables and payments included.
    """
    if as_of is None and commit_id is None:
        accounts = LedgerAccount.objects.filter(
            Q() if customer_id is None else Q(customer_id=customer_id)
        )
        totals = dict(accounts.values_list("code").annotate(total=Sum("balance")))
    else:
        asked = Q()
        if as_of is not None:
            asked &= Q(entry__accounting_date__lte=as_of)
        if customer_id is not None:
            asked &= Q(entry__customer_id=customer_id)
        if commit_id is not None:
            asked &= Q(entry__commit_id=commit_id)
        postings = Posting.objects.filter(asked).order_by()
        totals = dict(postings.values_list("account__code").annotate(total=Sum("amount")))
    return [
        TrialBalanceRow(code, max(total, ZERO), max(-total, ZERO))
        for code in AccountCode
        if (total := totals.get(code.value, ZERO))
    ]


class OpenDates:
    """The dates that may be booked on: read once, when a run that dates thousands first asks.

    A month that is locked meanwhile is refused by the database when the entries are booked.
    """

    @cached_property
    def _locked(self) -> frozenset[date]:
        locked = AccountingPeriod.objects.filter(unlocked_at=None)
        return frozenset(locked.values_list("month", flat=True))

    def first(self, not_before: date) -> date:
        """The first date from `not_before` on that lies in no locked accounting period."""
        month = not_before.replace(day=1)
        if month not in self._locked:
            return not_before
        while month in self._locked:
            month = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
        return month


def first_open_date(*, not_before: date) -> date:
    """The first date from `not_before` on that lies in no locked accounting period."""
    return OpenDates().first(not_before)


def entries_of(
    *,
    customer_id: int,
    commit_id: UUID | None = None,
    code: EntryCode | None = None,
) -> QuerySet[JournalEntry]:
    """The journal entries of a customer with their postings, newest first."""
    entries = JournalEntry.objects.filter(customer_id=customer_id).prefetch_related(
        "postings__account"
    )
    if commit_id is not None:
        entries = entries.filter(commit_id=commit_id)
    if code is not None:
        entries = entries.filter(code=code.value)
    return entries.order_by("-id")
