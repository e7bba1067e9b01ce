"""The ledger alone: one entry a database commit, and many events netted into few entries.

One client. The bare baseline is what one would write by hand for the least that a booking is: two
rows and two balances in one SQL function, without accounts to find, keys to keep, guards or
fingerprints.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

from billing.domain.journal import Entry, EntryCode, Scope, postings_of, usage_moves
from billing.domain.money import ZERO
from tests.bench.apart import apart
from tests.bench.lines import line
from tests.bench.service import create_database

ROUNDS, ENTRIES = 5, 400
NETTINGS, EVENTS, COMMITS = 40, 1_000, 100
NOW = datetime(2026, 2, 1, tzinfo=UTC)
_BARE = """
CREATE TABLE bare_account (id int PRIMARY KEY, balance numeric NOT NULL);
CREATE TABLE bare_posting (id bigserial PRIMARY KEY, account int NOT NULL, amount numeric NOT NULL);
INSERT INTO bare_account SELECT number, 0 FROM generate_series(1, 200) AS number;
CREATE FUNCTION bare_book(one int, other int, dollars numeric) RETURNS void LANGUAGE sql AS $$
    INSERT INTO bare_posting (account, amount) VALUES (one, dollars), (other, -dollars);
    UPDATE bare_account SET balance = balance + dollars WHERE id = one;
    UPDATE bare_account SET balance = balance - dollars WHERE id = other;
$$"""
_numbers = count(1)


def measures(url: str, place: Path) -> Iterator[str]:
    """The lines about booking, on a database of their own on the server at `url`."""
    yield from apart(create_database(url, "bench_booking"), place, _measured)


def _measured() -> list[str]:
    from statistics import median

    from django.core.management import call_command
    from django.db import connection

    from billing.models import Customer

    call_command("migrate", verbosity=0)
    customer = Customer.objects.create(key="c", name="C", email="c@example.com", created_at=NOW)
    commits = [uuid4() for _ in range(COMMITS)]
    with connection.cursor() as cursor:
        cursor.execute(_BARE)
    single, bare, netted, copied = [], [], [], []
    for _ in range(ROUNDS):
        single.append(_one_by_one(customer.pk, commits))
        bare.append(_bare())
        netted.append(_netted(customer.pk, commits))
        copied.append(_copied(commits))
    return [
        line("entry_vs_sql", median(single), median(bare), unit="entries/s"),
        line("netted_vs_copy", median(netted), median(copied)),
    ]


def _entry(customer: int, commit: UUID, dollars: Decimal) -> Entry:
    scope = Scope(customer, commit)
    return Entry(
        key=f"bench/{next(_numbers)}",
        code=EntryCode.USAGE_DRAWDOWN,
        scope=scope,
        accounting_date=date(2026, 2, 1),
        postings=postings_of(scope, *usage_moves(1, dollars, ZERO)),
        quarter_index=1,
        usage_date=date(2026, 2, 1),
        description="usage of 2026-02-01",
        evidence={"after_seq": 0, "through_seq": 10},
    )


def _one_by_one(customer: int, commits: list[UUID]) -> float:
    """Entries a second, each in a database transaction of its own."""
    from billing.services import ledger

    begun = time.perf_counter()
    for number in range(ENTRIES):
        entry = _entry(customer, commits[number % COMMITS], Decimal("1.25"))
        ledger.post_entry(entry=entry, now=NOW)
    return ENTRIES / (time.perf_counter() - begun)


def _bare() -> float:
    from django.db import connection

    begun = time.perf_counter()
    with connection.cursor() as cursor:
        for number in range(ENTRIES):
            account = number % 100 + 1
            cursor.execute("SELECT bare_book(%s, %s, %s)", [account, account + 100, "1.25"])
    return ENTRIES / (time.perf_counter() - begun)


def _netted(customer: int, commits: list[UUID]) -> float:
    """Events a second: the dollars of 1,000 events are netted by commit and booked at once."""
    from django.db import transaction

    from billing.services import ledger

    events = [
        (commits[number * 7 % COMMITS], Decimal(number % 83 + 1) / 1_000_000)
        for number in range(EVENTS)
    ]
    begun = time.perf_counter()
    for _ in range(NETTINGS):
        amounts: dict[UUID, list[Decimal]] = defaultdict(list)
        for commit, amount in events:
            amounts[commit].append(amount)
        entries = [_entry(customer, commit, sum(some, ZERO)) for commit, some in amounts.items()]
        with transaction.atomic():
            ledger.post_entries(entries=entries, now=NOW)
    return NETTINGS * EVENTS / (time.perf_counter() - begun)


def _copied(commits: list[UUID]) -> float:
    """Rows a second of a binary COPY of as many events into a bare heap."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bare_event")
        cursor.execute("CREATE TABLE bare_event (commit uuid, at timestamptz, amount numeric)")
        begun = time.perf_counter()
        with cursor.cursor.copy("COPY bare_event FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["uuid", "timestamptz", "numeric"])
            for number in range(NETTINGS * EVENTS):
                copy.write_row((commits[number % COMMITS], NOW, Decimal(number % 83 + 1)))
        return NETTINGS * EVENTS / (time.perf_counter() - begun)
