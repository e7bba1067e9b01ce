"""A database for each story: made from a migrated template, looked at with plain SQL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

ROOT = Path(__file__).parents[2]
TEMPLATE = "scenario_template"
# What changes without anything having happened.
NOT_COUNTED = frozenset({"django_session"})


def address(name: str) -> str:
    """The test run's server, another database."""
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def _run(statement: sql.Composed) -> None:
    with psycopg.connect(address("postgres"), autocommit=True) as connection:
        connection.execute(statement)


def make_template(suffix: str) -> str:
    """A migrated database that stories are copied from; `suffix` keeps processes apart."""
    name = f"{TEMPLATE}_{suffix}"
    _run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    _run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    environment = {**os.environ, "DATABASE_URL": address(name), "CELERY_BROKER_URL": "pgmq://"}
    for command in (
        ["manage.py", "migrate", "--noinput", "--verbosity", "0"], ["-m", "billing.config.queue"]
    ):  # fmt: skip
        subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, check=True, timeout=180
        )
    return name


@contextmanager
def copy_of(template: str, name: str) -> Iterator[str]:
    """A copy of the template, and its DATABASE_URL; gone afterwards."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    _run(drop)
    _run(
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
    )
    try:
        yield address(name)
    finally:
        _run(drop)


def row_counts(database_url: str) -> dict[str, int]:
    """How many rows each table holds: what a refused request must not change."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        counts = {}
        for (table,) in tables:
            if table in NOT_COUNTED:
                continue
            query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
            row = connection.execute(query).fetchone()
            counts[table] = int(row[0]) if row else 0
        return counts


def waiting_webhooks(database_url: str) -> int:
    """Events of Stripe's that have come and are not applied yet."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM billing_stripeevent WHERE applied_at IS NULL"
        ).fetchone()
        return int(row[0]) if row else 0
