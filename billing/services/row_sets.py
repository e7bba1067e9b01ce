"""Writes many rows of one table in one statement: what services use that settle thousands at once.

COPY for new rows; for those that are there, one UPDATE from one JSON document, whose decimals are
strings and so stay exact. Django's `bulk_update` spells a CASE for every row and column, and an
array per column quotes every value by itself: either took most of the time of a close.
"""

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
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
    names = [field.attname for field in fields]
    rows = ([getattr(item, name) for name in names] for item in objects)
    insert_values(type(objects[0]), names, rows)
    for item in objects:
        if item.pk is not None:
            item._state.adding, item._state.db = False, connection.alias


def insert_values(
    model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Insert rows of one model: values of the named fields (a foreign key's by its `_id`)."""
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    columns = ", ".join(_quoted(field.column) for field in fields)
    statement = f"COPY {_quoted(model._meta.db_table)} ({columns}) FROM STDIN"
    odd = [
        (place, field)
        for place, field in enumerate(fields)
        if isinstance(field, models.JSONField | models.DecimalField)
    ]
    with connection.cursor() as cursor, connection.wrap_database_errors:
        copying = cursor.cursor.copy(statement)
        with copying as copy:
            for row in rows:
                values = list(row)
                for place, field in odd:
                    values[place] = _told(field, values[place])
                copy.write_row(values)


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
    kinds = ", ".join(f"{_quoted(field.column)} {_type(field)}" for field in (key, *fields))
    statement = (
        f"UPDATE {_quoted(meta.db_table)} AS kept SET {changes}"  # noqa: S608 (names of our own)
        f" FROM json_to_recordset(%s::json) AS given ({kinds})"
        f" WHERE kept.{_quoted(key.column)} = given.{_quoted(key.column)}"
    )
    plain = [(f.column, f.attname) for f in (key, *fields) if not _is_decimal(f)]
    exact = [(f, f.column, f.attname) for f in fields if _is_decimal(f)]
    rows = [
        {column: getattr(item, name) for column, name in plain}
        | {column: _told(field, getattr(item, name)) for field, column, name in exact}
        for item in ordered
    ]
    with connection.cursor() as cursor:
        cursor.execute(statement, [msgspec.json.encode(rows).decode()])


def _quoted(name: str | None) -> str:
    return str(connection.ops.quote_name(str(name)))


def _type(field: Any) -> str:
    """The column's type without its length, which a cast would cut values to without a word."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return str(kind).partition("(")[0]


def _is_decimal(field: Any) -> bool:
    return isinstance(field, models.DecimalField)


def _told(field: Any, value: Any) -> Any:
    """A value as the database is told it: exact, or refused."""
    if value is None:
        return None
    if isinstance(field, models.JSONField):
        return json.dumps(value)
    if type(value) is Decimal and value.as_tuple().exponent >= -field.decimal_places:
        # It cannot have too many decimals: the field need not look at it.
        return value
    return field.get_db_prep_save(value, connection)
