"""Statements that come so often that to plan each anew would cost more than to run it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def server_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """A cursor that sends values beside the statement, where Django's own would write them into it.

    With `prepare=True` the connection keeps a statement and its plan. Raises what Django raises.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
