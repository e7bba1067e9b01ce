"""Deadlocks and serialization failures are tried again: nothing of the attempt was kept.

Whatever books entries or takes locks of several customers goes through here.
"""

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

ATTEMPTS = 6
_TRANSIENT = frozenset({"40P01", "40001"})  # deadlock_detected, serialization_failure

Given = ParamSpec("Given")
Result = TypeVar("Result")


def retried(service: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let a service that is one database transaction be tried again when it lost a deadlock.

    An invoice that is issued locks accounts of the same commit without the commit's lock, so the
    two can meet in opposite order. Inside a caller's transaction the failure is the caller's.
    """

    @wraps(service)
    def again(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return service(*args, **kwargs)
            except OperationalError as error:
                state = getattr(error.__cause__, "sqlstate", None)
                inside = connection.in_atomic_block
                if state not in _TRANSIENT or inside or attempt == ATTEMPTS:
                    raise
                time.sleep(random.uniform(0.01, 0.05) * 2**attempt)  # noqa: S311
        raise AssertionError("unreachable")

    return again
