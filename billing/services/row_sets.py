"""Writes many rows of one table in one statement: what services use that settle thousands at once.

COPY for new rows, one UPDATE from arrays for those that are there. Django's `bulk_update` spells a
CASE for every row and column, and took most of the time of a close. Exactness is guarded as
everywhere: every value goes through its field.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection, models


def insert_rows(objects: Sequence[models.Model]) -> None:
    """Insert unsaved objects of one model, in their order. Their primary keys are not read back.

    Raises django.db.IntegrityError as any insert does; ValidationError for a value that its column
    would have to round.
    """
    if not objects:
        return
    meta = objects[0]._meta
    fields = [
        field
        for field in meta.concrete_fields
        if not isinstance(field, models.AutoField) or objects[0].pk is not None
    ]
    columns = ", ".join(_quoted(field.column) for field in fields)
    statement = f"COPY {_quoted(meta.db_table)} ({columns}) FROM STDIN"
    rows = zip(*(_values(field, objects) for field in fields), strict=True)
    with connection.cursor() as cursor, connection.wrap_database_errors:
        copying = cursor.cursor.copy(statement)
        with copying as copy:
            for row in rows:
                copy.write_row(row)
    for item in objects:
        if item.pk is not None:
            item._state.adding, item._state.db = False, connection.alias


def update_rows(objects: Iterable[models.Model], names: Sequence[str]) -> None:
    """Write the named fields of saved objects of one model, in the order of their keys."""
    known = {item.pk: item for item in objects}
    if not known:
        return
    ordered = [known[pk] for pk in sorted(known)]
    meta = ordered[0]._meta
    key: Any = meta.pk
    fields: list[Any] = [meta.get_field(name) for name in names]
    columns = [_quoted(field.column) for field in fields]
    changes = ", ".join(f"{column} = given.{column}" for column in columns)
    arrays = ", ".join(f"%s::{_type(field)}[]" for field in (key, *fields))
    statement = (
        f"UPDATE {_quoted(meta.db_table)} AS kept SET {changes}"  # noqa: S608 (names of our own)
        f" FROM unnest({arrays}) AS given ({', '.join(['key', *columns])})"
        f" WHERE kept.{_quoted(key.column)} = given.key"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(_values(field, ordered)) for field in (key, *fields)])


def _quoted(name: str | None) -> str:
    return str(connection.ops.quote_name(str(name)))


def _type(field: Any) -> str:
    """The column's type without its length, which a cast would cut values to without a word."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return str(kind).partition("(")[0]


def _values(field: Any, objects: Sequence[models.Model]) -> list[Any]:
    given = [getattr(item, field.attname) for item in objects]
    if isinstance(field, models.JSONField):
        return [None if value is None else json.dumps(value) for value in given]
    if isinstance(field, models.DecimalField):
        return [_exact(field, value) for value in given]
    return given


def _exact(field: Any, value: Any) -> Any:
    """As the field would store it: one that cannot have too many decimals needs no other look."""
    if value is None or type(value) is int:
        return value
    if type(value) is Decimal and value.as_tuple().exponent >= -field.decimal_places:
        return value
    return field.get_db_prep_save(value, connection)
