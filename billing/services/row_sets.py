"""Writes many rows of one table in one statement: what services use that settle thousands at once.

COPY for new rows; for those that are there, one UPDATE from an array for each column. Both are
spelled here as text, column by column: Django's `bulk_update` spells a CASE for every row and
column, and drivers adapt value by value; either took most of the time of a close. Decimals are
spelled in full, and so stay exact.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from django.db import connection, models

from billing.domain.array_format import array_of, array_of_json


def insert_rows(objects: Sequence[models.Model]) -> None:
    """Insert unsaved objects of one model, in their order. Their primary keys are not read back.

    Raises django.db.IntegrityError as any insert does; ValidationError for a value that its column
    would have to round.
    """
    if not objects:
        return
    fields = [
        field
        for field in objects[0]._meta.concrete_fields
        if not isinstance(field, models.AutoField) or objects[0].pk is not None
    ]
    names = [field.attname for field in fields]
    insert_values(type(objects[0]), names, _columns_of(objects, names))
    alias = connection.alias
    for item in objects:
        if item.pk is not None:
            item._state.adding, item._state.db = False, alias


def insert_values(
    model: type[models.Model], names: Sequence[str], columns: Sequence[Sequence[Any]]
) -> None:
    """Insert rows of one model, given as the columns of the named fields (a foreign key's by its
    `_id`), all of one length."""
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in names]
    quoted = ", ".join(_quoted(field.column) for field in fields)
    statement = f"COPY {_quoted(model._meta.db_table)} ({quoted}) FROM STDIN"
    spelled = [
        _copied(field, _told(field, values)) for field, values in zip(fields, columns, strict=True)
    ]
    rows = "\n".join(map("\t".join, zip(*spelled, strict=True)))
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.cursor.copy(statement) as copy,
    ):
        copy.write(rows)


def update_rows(objects: Iterable[models.Model], names: Sequence[str]) -> None:
    """Write the named fields of saved objects of one model, in the order of their keys."""
    known = {item.pk: item for item in objects}
    if not known:
        return
    ordered = [known[pk] for pk in sorted(known)]
    meta = ordered[0]._meta
    key: Any = meta.pk
    fields: list[Any] = [key, *(meta.get_field(name) for name in names)]
    columns = [_quoted(field.column) for field in fields]
    statement = (
        f"UPDATE {_quoted(meta.db_table)} AS kept"  # noqa: S608 (names of our own)
        f" SET {', '.join(f'{column} = given.{column}' for column in columns[1:])}"
        f" FROM unnest({', '.join(f'%s::{_type(field)}[]' for field in fields)})"
        f" AS given ({', '.join(columns)}) WHERE kept.{columns[0]} = given.{columns[0]}"
    )
    values = _columns_of(ordered, [field.attname for field in fields])
    arrays = [
        (array_of_json if isinstance(field, models.JSONField) else array_of)(_told(field, column))
        for field, column in zip(fields, values, strict=True)
    ]
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # Django's own cursor would write the arrays into the statement, each quoted once more.
        cursor.execute(statement, arrays)


def _columns_of(objects: Sequence[models.Model], names: Sequence[str]) -> list[list[Any]]:
    # A row loaded in part would have to be asked by getattr; whoever writes sets loads whole rows.
    held = [item.__dict__ for item in objects]
    return [[row[name] for row in held] for name in names]


def _quoted(name: str | None) -> str:
    return str(connection.ops.quote_name(str(name)))


def _type(field: Any) -> str:
    """The column's type without its length, which a cast would cut values to without a word."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    return str(kind).partition("(")[0]


def _told(field: Any, values: Sequence[Any]) -> list[str | None]:
    """Values of one column as the database is told them: exact, or refused."""
    if isinstance(field, models.JSONField):
        return [None if v is None else _json(v).decode() for v in values]
    if isinstance(field, models.DecimalField):
        return [None if value is None else _exact(field, value) for value in values]
    if isinstance(field, models.DateTimeField | models.UUIDField | models.ForeignKey):
        # Rows of a set share their instants and keys: each is spelled once.
        met = {id(value): value for value in values}
        spelled = {name: None if value is None else _plainly(value) for name, value in met.items()}
        return [spelled[id(value)] for value in values]
    return [None if value is None else str(value) for value in values]


def _plainly(value: Any) -> str:
    # With its dashes a UUID takes longer to spell, and says no more.
    return value.hex if type(value) is UUID else str(value)


_json = msgspec.json.Encoder().encode


def _exact(field: Any, value: Any) -> str:
    if not value:
        return "0"
    if type(value) is Decimal:
        text = str(value)
        point = text.find(".")
        decimals = len(text) - point - 1 if point >= 0 else 0
        if decimals <= field.decimal_places and text[-1].isdigit() and "E" not in text:
            # It cannot have too many decimals: the field need not look at it.
            return text
    elif type(value) is int:
        return str(value)
    return f"{field.get_db_prep_save(value, connection):f}"


def _copied(field: Any, values: list[str | None]) -> list[str]:
    """A column as COPY reads it."""
    if isinstance(field, models.JSONField):
        # JSON has escaped all other characters that are special to COPY.
        return ["\\N" if v is None else v.replace("\\", "\\\\") for v in values]
    told = ["\\N" if value is None else value for value in values]
    if isinstance(field, models.CharField | models.TextField):
        texts = "".join(filter(None, values))
        # Tabs and ends of lines are not printable.
        if not texts.isprintable() or "\\" in texts:
            return ["\\N" if v is None else v.translate(_ESCAPES) for v in values]
    return told


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
