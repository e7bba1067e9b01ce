"""The usage lock: one row per customer, taken by ingest, by the close and by changes of terms.

Who holds it is alone with that customer's events, periods, rate cards and rollups.
"""

from collections.abc import Sequence
from typing import NamedTuple

from django.db import connection

from billing.domain.array_format import array_of
from metering.services.book_snapshot import HOLD, PRICE_BOOK_LOCK, VERSION

_LOCK = (
    "SELECT customer_id, ingest_seq, terms_version, rated_seq FROM metering_usagestate"
    " WHERE customer_id = ANY(%s::bigint[]) ORDER BY customer_id FOR NO KEY UPDATE"
)


class LockedUsage(NamedTuple):
    """The state of a customer whose usage is locked: see UsageState."""

    ingest_seq: int
    terms_version: int
    rated_seq: int


def lock_usage(*, customer_ids: Sequence[int]) -> dict[int, LockedUsage]:
    """Lock the usage of customers until the database transaction ends, in customer order.

    Holds the price book first, so that no price changes under what is rated or read. Makes the
    rows that are missing. Ingest and the close both take this lock.
    """
    return lock_usage_and_book(customer_ids=customer_ids)[0]


def lock_usage_and_book(
    *, customer_ids: Sequence[int], wait_seconds: int = 0
) -> tuple[dict[int, LockedUsage], int]:
    """The same, and the version of the price book that is held.

    Raises OperationalError after `wait_seconds` (0: never) of waiting for one of the locks.
    """
    asked = sorted(set(customer_ids))
    found, version = _locked(asked, wait_seconds)
    if len(found) < len(asked):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO metering_usagestate (customer_id, ingest_seq, terms_version)"
                " SELECT customer_id, 0, 1 FROM unnest(%s::bigint[]) AS asked (customer_id)"
                " ORDER BY customer_id ON CONFLICT DO NOTHING",
                [[customer_id for customer_id in asked if customer_id not in found]],
            )
        found, version = _locked(asked, wait_seconds)
    return found, version


def _locked(customer_ids: list[int], wait_seconds: int) -> tuple[dict[int, LockedUsage], int]:
    patience = f"SET LOCAL lock_timeout = '{wait_seconds:d}s'; " if wait_seconds else ""
    with connection.cursor() as cursor:
        # Three statements (or four) in one round trip, in this order.
        cursor.execute(
            f"{patience}{HOLD}; {_LOCK}; {VERSION}", [*PRICE_BOOK_LOCK, array_of(customer_ids)]
        )
        for _ in range(2 if wait_seconds else 1):
            cursor.nextset()
        found = {
            customer_id: LockedUsage(seq, version, rated_seq)
            for customer_id, seq, version, rated_seq in cursor.fetchall()
        }
        cursor.nextset()
        return found, int(cursor.fetchone()[0])


def renew_terms(customer_id: int) -> None:
    """Let nobody go on rating by terms of the customer that were cached before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE metering_usagestate SET terms_version = nextval('metering_change')"
            " WHERE customer_id = %s",
            [customer_id],
        )
