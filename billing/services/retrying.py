"""Deadlocks, serialization failures and months that were locked meanwhile are tried again: nothing
of the attempt was kept.

Whatever books entries or takes locks of several customers goes through here.
"""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

from billing.domain.errors import Conflict

ATTEMPTS = 6
_TRANSIENT = frozenset({"40P01", "40001"})  # deadlock_detected, serialization_failure

Given = ParamSpec("Given")
Result = TypeVar("Result")


def retried(service: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a service that is one database transaction be tried again when it lost a deadlock, or
    when a month was locked after it had looked which dates are open: the next attempt looks again.

    An invoice that is issued locks accounts of the same commit without the commit's lock, so the
    two can meet in opposite order. Inside a caller's transaction the failure is the caller's.
    """

    @wraps(service)
    def again(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return service(*args, **kwargs)
            except (OperationalError, Conflict) as error:
                inside = connection.in_atomic_block
                if not _is_transient(error) or inside or attempt == ATTEMPTS:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return again


def _is_transient(error: OperationalError | Conflict) -> bool:
    if isinstance(error, Conflict):
        return error.code == "accounting_period_locked"
    return getattr(error.__cause__, "sqlstate", None) in _TRANSIENT
