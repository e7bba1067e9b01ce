"""The price book as rating reads it: a snapshot per version, and the lock that keeps it in force.

Who rates holds the price book (shared) until the database transaction ends; who changes a price or
a meter locks it (exclusive). So nothing is ever committed at a rate of an older book than the one
in force at the commit. The lock comes before all others: advisory first, then usage states.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from metering.domain.rates import Dated, PriceBook, PriceKey, Series
from metering.models import Meter, Price

PRICE_BOOK_LOCK = (1835365490, 1)  # "metr": a class of its own among advisory locks.
# Keeps the price book from changing until the database transaction ends.
HOLD = "SELECT pg_advisory_xact_lock_shared(%s, %s)"
VERSION = "SELECT coalesce(max(version), 0) FROM metering_pricebookversion"


@dataclass(frozen=True, slots=True)
class BookSnapshot:
    """The whole price book at one version. A version names one book for ever.

    `book` has the list prices that everybody sees; `private` those of single customers by id.
    """

    version: int
    book: PriceBook
    private: Mapping[int, Mapping[PriceKey, Series]]
    _seen: dict[int, PriceBook] = field(default_factory=dict)

    def book_of(self, customer_id: int) -> PriceBook:
        """The book as this customer sees it: with its own private prices, and nobody else's."""
        private = self.private.get(customer_id)
        if private is None:
            return self.book
        if customer_id not in self._seen:
            self._seen[customer_id] = self.book.with_private(private)
        return self._seen[customer_id]


_cached: list[BookSnapshot] = []


def lock_price_book() -> None:
    """Wait until nobody rates, and let nobody rate until the database transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", PRICE_BOOK_LOCK)


def read_price_book(*, version: int | None = None) -> BookSnapshot:
    """The price book of this database transaction, from memory while its version is the same.

    `version` is that of the book that the transaction holds, if the caller has read it already.
    """
    if version is None:
        with connection.cursor() as cursor:
            cursor.execute(VERSION)
            version = int(_one(cursor.fetchone())[0])
    if _cached and _cached[0].version == version:
        return _cached[0]
    found = _load(version)
    _cached[:] = [found]
    return found


def count_up_version() -> None:
    """Make every process read the price book anew. Call it with the book locked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO metering_pricebookversion (id, version)"
            " VALUES (1, nextval('metering_change'))"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version"
        )


def _load(version: int) -> BookSnapshot:
    dated: dict[int | None, dict[PriceKey, list[Dated]]] = {None: {}}
    rows = Price.objects.order_by().values_list(
        "customer_id", "model", "mode", "meter_id", "effective_at", "price"
    )
    for customer, model, mode, meter, effective_at, price in rows.iterator(chunk_size=5000):
        of_key = dated.setdefault(customer, {}).setdefault(PriceKey(model, mode, meter), [])
        of_key.append(Dated(effective_at, price))
    series = {
        customer: {key: Series.of(prices) for key, prices in of_customer.items()}
        for customer, of_customer in dated.items()
    }
    units = dict(Meter.objects.order_by().values_list("key", "units_per_price"))
    private = {customer: mine for customer, mine in series.items() if customer is not None}
    return BookSnapshot(version, PriceBook(series[None], units), private)


def _one(row: Any) -> Any:
    if row is None:  # An aggregate without GROUP BY always answers with a row.
        raise LookupError("no row")
    return row
