"""Gives the events of a chunk their sequence numbers: the one thing that ingest does under locks.

Everything else about the chunk is written by then, unseen by anybody until the transaction commits.
It was rated by terms that were in force a moment ago; that they still are is looked at here.
"""

from django.db import connection

from billing.domain.array_format import array_of
from metering.domain.columns import Columns
from metering.services.rating import KnownRates

# A close may hold the locks for some seconds. Who waits longer is told to try again, so that what
# waits does not pile up.
LOCK_SECONDS = 15
_NUMBER = """
SELECT metering_number_events(%s, %s, %s, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::smallint[], %s::smallint[], %s::smallint[], %s::smallint[], %s::boolean[])"""


class TermsChanged(Exception):
    """What a chunk was rated by is not in force any more."""


def number_events(*, columns: Columns, chunk_id: int, rates: KnownRates) -> dict[int, int]:
    """Number the events of a chunk by customer: the last sequence number of each.

    Locks the price book and the usage of the customers until the database transaction ends. Raises
    TermsChanged, and OperationalError after LOCK_SECONDS of waiting for a lock.
    """
    customers, places, counts, origins, origin_counts, firsts, lasts, hardware = zip(
        *columns.runs(), strict=True
    )
    with connection.cursor() as cursor:
        cursor.execute(
            _NUMBER,
            [
                f"{LOCK_SECONDS}s",
                rates.book_version,
                chunk_id,
                array_of(customers),
                array_of(rates.terms_versions[one] for one in customers),
                array_of(firsts),
                array_of(lasts),
                array_of(places),
                array_of(counts),
                array_of(origins),
                array_of(origin_counts),
                array_of(hardware),
            ],
        )
        reached = cursor.fetchone()[0]
    if reached is None:
        raise TermsChanged
    return dict(zip(customers, reached, strict=True))
