"""The usage lock: one row per customer, taken by ingest, by the close and by changes of terms.

Who holds it is alone with that customer's events, periods, rate cards and rollups.
"""

from collections.abc import Sequence

from django.db import connection

from metering.models import UsageState
from metering.services.book_snapshot import HOLD, PRICE_BOOK_LOCK

_LOCK = (
    "SELECT customer_id, ingest_seq, terms_version FROM metering_usagestate"
    " WHERE customer_id = ANY(%s) ORDER BY customer_id FOR NO KEY UPDATE"
)


def lock_usage(*, customer_ids: Sequence[int]) -> dict[int, UsageState]:
    """Lock the usage of customers until the database transaction ends, in customer order.

    Holds the price book first, so that no price changes under what is rated or read. Makes the
    rows that are missing. Ingest and the close both take this lock.
    """
    asked = sorted(set(customer_ids))
    found = _locked(asked)
    if len(found) < len(asked):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO metering_usagestate (customer_id, ingest_seq, terms_version)"
                " SELECT customer_id, 0, 1 FROM unnest(%s::bigint[]) AS asked (customer_id)"
                " ORDER BY customer_id ON CONFLICT DO NOTHING",
                [[customer_id for customer_id in asked if customer_id not in found]],
            )
        found = _locked(asked)
    return found


def _locked(customer_ids: list[int]) -> dict[int, UsageState]:
    with connection.cursor() as cursor:
        # Two statements in one round trip, in this order.
        cursor.execute(HOLD + "; " + _LOCK, [*PRICE_BOOK_LOCK, customer_ids])
        cursor.nextset()
        return {
            customer_id: UsageState(customer_id=customer_id, ingest_seq=seq, terms_version=version)
            for customer_id, seq, version in cursor.fetchall()
        }


def renew_terms(customer_id: int) -> None:
    """Let nobody go on rating by terms of the customer that were cached before."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE metering_usagestate SET terms_version = nextval('metering_change')"
            " WHERE customer_id = %s",
            [customer_id],
        )
