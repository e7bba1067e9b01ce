"""Loading rows quickly, and making them: for the models that a close reads and writes by the ten
thousand. Nobody listens to `pre_init` or `post_init` here."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any, Self

import msgspec
import psycopg
from django.db import connection, models
from django.db.models.base import ModelState
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.pq import Format


class QuickLoad(models.Model):
    """A row read whole becomes an object without Django's walk over fields, defaults and signals,
    which took a fifth of the time of a close; rows read in part take the usual way."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **rest: Any
    ) -> Self:
        names = _attnames(cls)
        if len(values) != len(names):
            return super().from_db(db, field_names, values, **rest)
        row = cls.__new__(cls)
        row.__dict__ = known = dict(zip(names, values, strict=True))
        known["_state"] = state = ModelState()
        state.adding, state.db = False, db
        return row

    @classmethod
    def fresh(cls, **values: Any) -> Self:
        """A new row of these values, a foreign key's by its `_id`; the rest as by default."""
        plain, made = _defaults(cls)
        row = cls.__new__(cls)
        row._state = ModelState()
        row.__dict__.update(plain)
        for name, make in made:
            if name not in values:
                values[name] = make()
        row.__dict__.update(values)
        return row

    @classmethod
    def read(cls, condition: str, given: Sequence[Any]) -> list[Self]:
        """The rows for which a condition of SQL holds; what orders and locks them may follow it.

        By psycopg alone, in its binary format: Django's own loaders of instants and JSON, and its
        walk over every row, took as long as all the arithmetic of a close.
        """
        connection.ensure_connection()
        with (
            connection.wrap_database_errors,
            psycopg.Cursor(connection.connection) as cursor,
        ):
            cursor.adapters.register_loader("jsonb", _DocumentLoader)
            cursor.execute(f"{_select(cls)} WHERE {condition}", given, binary=True)
            alias = connection.alias
            return [cls.from_db(alias, (), values) for values in cursor.fetchall()]


class _DocumentLoader(Loader):
    """A jsonb in binary: the number of a format, which has only ever been 1, and its text."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        if data[0] != 1:
            raise psycopg.DataError(f"unknown format of jsonb: {data[0]}")
        return _decode(data[1:])


_decode = msgspec.json.Decoder().decode


@cache
def _attnames(model: type[models.Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@cache
def _select(model: type[models.Model]) -> str:
    table = connection.ops.quote_name(model._meta.db_table)
    columns = (connection.ops.quote_name(str(f.column)) for f in model._meta.concrete_fields)
    return f"SELECT {', '.join(columns)} FROM {table}"  # noqa: S608 (names of our own)


@cache
def _defaults(
    model: type[models.Model],
) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """What a field is by default: values, and what has to be made for each row."""
    plain: dict[str, Any] = {}
    made: list[tuple[str, Callable[[], Any]]] = []
    for field in model._meta.concrete_fields:
        if field.has_default() and callable(field.default):
            made.append((field.attname, field.default))
        else:
            plain[field.attname] = field.get_default()
    return plain, made
