"""The queue that lives in PostgreSQL itself (pgmq, plain SQL), where it is the broker: its
installation and its address.

Run as `python -m billing.config.queue` after `migrate`; it may be run any number of times, by any
number of processes at once.
"""

from __future__ import annotations

import os

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

INSTALLATION_LOCK = 4_703_261_001  # An arbitrary number that nothing else locks.
CLIENT_READS = frozenset({"host", "port", "dbname", "user", "password"})


def ensure_pgmq(conninfo: str) -> bool:
    """Install pgmq in the database unless it is there; True if it was installed now.

    The script of the `pgmq` package cannot be run twice, so the question and the installation
    stand in one database transaction, under an advisory lock that others wait for.
    """
    # Not at the top: the settings import this module, and most processes install nothing.
    from pgmq.install import install_pgmq_from_sql

    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALLATION_LOCK])
        found = connection.execute("SELECT to_regnamespace('pgmq') IS NOT NULL").fetchone()
        if found and found[0]:
            return False
        install_pgmq_from_sql(conn=connection)
        return True


def broker_conninfo(database_url: str) -> str:
    """The database's address in the form that survives pgmq's client.

    The client takes an address apart and writes it together again without quoting anything (a
    socket in a path with blanks, a password with a quote) and without any option (sslmode). So
    every value is quoted once more than libpq asks for, and the options ride behind the password.
    """
    given = {name: str(value) for name, value in conninfo_to_dict(database_url).items()}
    wanted = {"port": "5432", "password": "", **given}
    options = [f"{name}={_quoted(wanted[name])}" for name in wanted if name not in CLIENT_READS]
    known = {name: _quoted(value) for name, value in wanted.items() if name in CLIENT_READS}
    known["port"] = wanted["port"]  # The client makes a number of it.
    known["password"] = " ".join([known["password"], *options])
    return make_conninfo(**known)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.config.settings")
    from django.conf import settings

    if settings.USES_PGMQ:
        ensure_pgmq(settings.DATABASE_URL)


if __name__ == "__main__":
    main()
