"""A month of chunks as one table, and another table in its place.

The guards of chunks let no row change, so what shall lie otherwise is copied and the copy attached
in the place of the original. All within one database transaction, in which nobody writes to the
month; who reads waits for its very end alone.
"""

from django.db import OperationalError, connection

from billing.domain.errors import Conflict
from metering.domain.chunks import MONTH_SHIFT

_ONE_AT_A_TIME = (1835365490, 2)  # "metr", as the price book's
_LOCK_NOT_AVAILABLE = "55P03"

# Attaching waits for those who read any chunk, and whoever comes then waits behind it.
_REPLACE = """
SET LOCAL lock_timeout = '10s';
ALTER TABLE {new} ADD CONSTRAINT lies_in_its_month CHECK (id >= {first} AND id < {end});
ALTER TABLE metering_usagechunk DETACH PARTITION {table};
DROP TABLE {table};
ALTER TABLE {new} RENAME TO {table};
ALTER INDEX {new}_pkey RENAME TO {table}_pkey;
CREATE TRIGGER the_usage_chunks_are_never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION billing_refuse('The usage events are never emptied.');
ALTER TABLE metering_usagechunk ATTACH PARTITION {table} FOR VALUES FROM ({first}) TO ({end});
ALTER TABLE {table} DROP CONSTRAINT lies_in_its_month"""


def lock_partition(month: int) -> str | None:
    """The table of a month (counted from January 2000), in which nobody writes from now on; None
    where there is none. Raises Conflict `archiving` where another is being replaced."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _ONE_AT_A_TIME)
        if not cursor.fetchone()[0]:
            raise Conflict("archiving", "another archive is being written or restored")
        cursor.execute(
            "SELECT name FROM metering_month_table(%s) AS name WHERE to_regclass(name) IS NOT NULL",
            [month],
        )
        found = cursor.fetchone()
        if found is None:
            return None
        cursor.execute(f"LOCK TABLE {found[0]} IN SHARE MODE")
        return str(found[0])


def beside(table: str) -> str:
    """A new table like a partition, empty and not yet in its place: its name."""
    new = f"{table}_new"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {new} (LIKE metering_usagechunk INCLUDING ALL)")
    return new


def replace_partition(month: int, table: str, new: str) -> None:
    """Drop the table of a month and attach another in its place, with its name and guards.

    Raises Conflict `busy` where somebody reads for too long.
    """
    first, end = month << MONTH_SHIFT, (month + 1) << MONTH_SHIFT
    with connection.cursor() as cursor:
        try:
            cursor.execute(_REPLACE.format(table=table, new=new, first=first, end=end))
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                raise Conflict("busy", "usage is being read for long: try again later") from error
            raise
