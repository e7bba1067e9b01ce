"""Writes the three rollups: hours, days and totals of rated usage, always together.

Owns their one rule: what they say changes in the database transaction that changes what they count,
under the customer's usage lock. Ingest only adds, and leaves that to `usage_deltas`; here is what
changes rollups that are there. Quantities may be negative (a void, a period cut short); what
remains never is, by constraint. Amounts are quantity x rate, exact, summed by the database in
NUMERIC.
"""

from collections.abc import Sequence
from itertools import pairwise

from django.db import connection

from billing.domain.array_format import array_of
from billing.domain.errors import InvariantViolation
from metering.domain.rated import RatedQuantity
from metering.services.usage_deltas import hold

_ADD = (
    "SELECT metering_add_usage(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[], %s::numeric[],"
    " %s::numeric[], %s, %s, %s)"
)


def add_usage(*, rows: Sequence[RatedQuantity]) -> None:
    """Add signed quantities to the hours, days and totals. The usage locks must be held.

    Several of one hour and key are netted first. Raises InvariantViolation if an hour has been
    rated at another rate, or if something is taken off that was never counted.
    """
    # Rows are written in key order, which is that of the index pages.
    written = [row for row in _netted(sorted(rows)) if row.quantity]
    if not written:
        return
    hold()
    names: dict[tuple[str, str, str], int] = {}
    numbers = [names.setdefault(row[3:6], len(names) + 1) for row in written]
    customers, periods, hours, _, _, _, rates, quantities = zip(*written, strict=True)
    with connection.cursor() as cursor:
        cursor.execute(
            _ADD,
            [
                array_of(customers),
                array_of(periods),
                array_of(int(hour.timestamp()) for hour in hours),
                array_of(numbers),
                array_of(f"{rate:f}" for rate in rates),
                array_of(quantities),
                *(list(column) for column in zip(*names, strict=True)),
            ],
        )
        if cursor.fetchone()[0] != len(written):
            raise InvariantViolation(
                "hour_rated_twice",
                "an hour of usage has been rated at another rate before, or never counted",
            )


def _netted(rows: list[RatedQuantity]) -> list[RatedQuantity]:
    """Sorted rows with distinct keys: several of one key are added up."""
    if all(one[5] != other[5] or one[:5] != other[:5] for one, other in pairwise(rows)):
        return rows
    found: list[RatedQuantity] = []
    for row in rows:
        if not found or found[-1][:6] != row[:6]:
            found.append(row)
        elif found[-1].rate != row.rate:
            raise InvariantViolation("hour_rated_twice", "one hour, two rates")
        else:
            found[-1] = row._replace(quantity=found[-1].quantity + row.quantity)
    return found


def forget_empty(*, period_id: int) -> None:
    """Delete the rollup rows of a period that have come down to nothing."""
    with connection.cursor() as cursor:
        for table, figure in (
            ("metering_usagehour", "quantity"),
            ("metering_usagetotal", "quantity"),
            ("metering_usageday", "amount"),
        ):
            cursor.execute(
                f"DELETE FROM {table} AS kept USING metering_usageperiod AS period"  # noqa: S608
                f" WHERE period.id = %s AND kept.customer_id = period.customer_id"
                f" AND kept.period_id = period.id AND kept.{figure} = 0",
                [period_id],
            )
