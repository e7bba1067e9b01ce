"""Starts one throwaway PostgreSQL for the whole test run, before Django reads its settings.

Loaded by `-p tests.plugin` (pyproject.toml). The processes of pytest-xdist inherit the environment,
so they share the server; pytest-django gives each a database of its own.
"""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import ExitStack

import pytest

from billing.config.launcher import postgres

_resources = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ or "LEDGER_TEST_RUN" in os.environ:
        return
    # Not pytest_unconfigure, which does not come after a conftest that fails to import.
    atexit.register(_resources.close)
    # What the machine happens to have set must not change what the tests mean.
    for name in ("STRIPE_API_KEY", "STRIPE_API_BASE", "PUBLIC_URL", "ALLOWED_HOSTS", "DEBUG"):
        os.environ.pop(name, None)
    os.environ |= {
        "LEDGER_TEST_RUN": "1",
        "DATABASE_URL": _resources.enter_context(postgres.throwaway()),
        "DATA_DIR": _resources.enter_context(tempfile.TemporaryDirectory(prefix="ledger-data-")),
        "CELERY_BROKER_URL": "memory://",  # What is sent is not run; the queue's own tests differ.
        "SECRET_KEY": "a-key-for-tests-alone",
        "SANDBOX": "1",
        "LOG_LEVEL": "WARNING",
        # Playwright keeps an event loop in the thread of the test.
        "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
    }
