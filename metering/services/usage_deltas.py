"""What a transaction of ingest adds to the rollups: one row, folded into them later.

To update the rollups' rows in each transaction would cost more than storing its events. Readers see
the rows and what waits to be folded as one (migrations/sql/0016_usage_deltas.sql), so nothing
depends on when, or by whom, it is folded. Who folds, or changes what is there already, is alone
with the rollups until its database transaction ends; who only adds waits for nobody.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache

from django.db import connection, transaction
from psycopg.types.numeric import DecimalBinaryDumper

from billing.domain.errors import InvariantViolation
from metering.domain.copy_format import (
    FILE_HEADER,
    FILE_TRAILER,
    LENGTH,
    NUMERIC,
    ROW_HEAD,
    array,
    bigints,
    integers,
    texts,
)
from metering.domain.rated import RatedQuantity

_NOTE = (
    "COPY metering_usagedelta (customers, periods, hours, names, quantities, models, modes,"
    " meters, rates) FROM STDIN (FORMAT BINARY)"
)
_COLUMN_COUNT = 9
_LOCK = (1919905907, 1)  # "roll": a class of its own among advisory locks.
# Deltas are cheap to read past, but not for nothing: of so many of a process, it folds them all.
_MOST_DELTAS = 32
_MOST_QUANTITY = 2**63 - 1

_logger = logging.getLogger(__name__)


class _Count:
    """How many deltas this process has written since it last folded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deltas = 0

    def is_due(self) -> bool:
        """Count one more; whether it is time to fold, which is answered to one thread only."""
        with self._lock:
            self._deltas += 1
            if self._deltas < _MOST_DELTAS:
                return False
            self._deltas = 0
            return True


_count = _Count()


def note_usage(*, rows: Sequence[RatedQuantity]) -> None:
    """Add quantities above zero, at one rate an hour, to be folded in later.

    The usage locks must be held, so that no rate changes before the transaction ends.
    """
    if rows:
        with connection.cursor() as cursor, cursor.copy(_NOTE) as copy:
            copy.write(_packed(rows))


def _packed(rows: Sequence[RatedQuantity]) -> bytes:
    if max([row.quantity for row in rows]) > _MOST_QUANTITY:
        rows = [*_in_parts(rows)]
    names: dict[tuple[str, str, str, Decimal], int] = {}
    numbers = [names.setdefault(row[3:7], len(names) + 1) for row in rows]
    customers, periods, hours, _, _, _, _, quantities = zip(*rows, strict=True)
    seconds = {hour: int(hour.timestamp()) for hour in set(hours)}
    models, modes, meters, rates = zip(*names, strict=True)
    return b"".join(
        (
            FILE_HEADER,
            ROW_HEAD(_COLUMN_COUNT),
            bigints(customers),
            bigints(periods),
            bigints([seconds[hour] for hour in hours]),
            integers(numbers),
            bigints(quantities),
            texts(models),
            texts(modes),
            texts(meters),
            array(NUMERIC, [_numeric(rate) for rate in rates]),
            FILE_TRAILER,
        )
    )


def _in_parts(rows: Sequence[RatedQuantity]) -> Iterator[RatedQuantity]:
    """The same in quantities that fit into a bigint: of a key there may be several."""
    for row in rows:
        left = row.quantity
        while left > _MOST_QUANTITY:
            yield row._replace(quantity=_MOST_QUANTITY)
            left -= _MOST_QUANTITY
        yield row._replace(quantity=left)


@lru_cache(maxsize=10_000)
def _numeric(value: Decimal) -> bytes:
    packed = bytes(DecimalBinaryDumper(Decimal).dump(value) or b"")
    return LENGTH(len(packed)) + packed


def fold_when_due() -> None:
    """To be called after a transaction that noted usage. What fails here is tried again by whoever
    folds next: the usage is safe, and counted, where it is."""
    if _count.is_due():
        try:
            fold()
        except Exception:
            _logger.exception("what usage added could not be folded into the rollups")


def fold() -> None:
    """Fold in all deltas that are committed, unless somebody else is at it. In a transaction of its
    own. Raises InvariantViolation if one of them says of an hour that it has another rate."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
        if cursor.fetchone()[0]:
            _fold()


def hold() -> None:
    """Fold, and be alone with the rollups until the database transaction ends: the hours, days and
    totals of customers whose usage is locked are complete from now on, a row a key."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)
    _fold()


def _fold() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT metering_fold_usage()")
        if cursor.fetchone()[0]:
            raise InvariantViolation(
                "hour_rated_twice", "an hour of usage has been rated at another rate before"
            )
