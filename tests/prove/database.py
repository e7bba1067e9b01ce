"""A throwaway PostgreSQL, and transactions that are given up after each contract.

Owns how examples are kept apart: each contract lives in one database transaction that is rolled
back. Services open durable transactions of their own, which Django allows within a block that says
that it belongs to a test.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def throwaway_database() -> Iterator[None]:
    """A migrated PostgreSQL of its own for this process, and Django set up to use it."""
    from billing.config.launcher import postgres

    with ExitStack() as resources:
        os.environ |= {
            "DATABASE_URL": resources.enter_context(postgres.throwaway()),
            "DATA_DIR": resources.enter_context(
                tempfile.TemporaryDirectory(prefix="ledger-prove-")
            ),
            "CELERY_BROKER_URL": "memory://",
            "SECRET_KEY": "a-key-for-the-proof-alone",
            "SANDBOX": "1",
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "billing.config.settings",
        }
        for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "PUBLIC_URL", "ALLOWED_HOSTS", "DEBUG"):
            os.environ.pop(name, None)
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        try:
            yield
        finally:
            connection.close()


class _GivenUpError(Exception):
    """Rolls a database transaction back."""


@contextmanager
def given_up() -> Iterator[None]:
    """A database transaction that services take for the outermost, rolled back at its end."""
    from django.db import transaction

    try:
        with transaction.atomic():
            allow_durable()
            yield
            raise _GivenUpError
    except _GivenUpError:
        pass


def allow_durable() -> None:
    """Let the services' durable transactions nest in the innermost block, as in a TestCase."""
    from django.db import connection

    connection.atomic_blocks[-1]._from_testcase = True  # type: ignore[attr-defined]


def check_deferred_constraints() -> None:
    """What the database would check at a commit: above all that each entry sums to zero."""
    from django.db import connection

    connection.check_constraints()
