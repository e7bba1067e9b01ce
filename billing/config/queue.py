"""Installs the queue that lives in PostgreSQL itself (pgmq, plain SQL) where it is the broker.

Run as `python -m billing.config.queue` after `migrate`; it may be run any number of times, by any
number of processes at once.
"""

from __future__ import annotations

import os

import psycopg
from pgmq.install import install_pgmq_from_sql

INSTALLATION_LOCK = 4_703_261_001  # An arbitrary number that nothing else locks.


def ensure_pgmq(conninfo: str) -> bool:
    """Install pgmq in the database unless it is there; True if it was installed now.

    The script of the `pgmq` package cannot be run twice, so the question and the installation
    stand in one database transaction, under an advisory lock that others wait for.
    """
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [INSTALLATION_LOCK])
        found = connection.execute("SELECT to_regnamespace('pgmq') IS NOT NULL").fetchone()
        if found and found[0]:
            return False
        install_pgmq_from_sql(conn=connection)
        return True


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing.config.settings")
    from django.conf import settings

    if settings.USES_PGMQ:
        ensure_pgmq(settings.DATABASE_URL)


if __name__ == "__main__":
    main()
