"""The environment that the parts of a local service are started with.

What the caller set stands; what is missing is filled in: the embedded database, and the Stripe
simulator of the service that runs on the same data directory, if one does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from billing.config.launcher import files, postgres

SERVICE_LOCK = "service.lock"
SERVICE_STATE = "service.json"
# Threads that take in batches of usage would otherwise each keep a heap of their own, full of
# holes: a tenth less memory after a million events.
WEB_MEMORY = {"MALLOC_ARENA_MAX": "2"}


@contextmanager
def local_environment() -> Iterator[dict[str, str]]:
    """What to add to os.environ for a command; the embedded server runs for as long."""
    data_dir = files.data_directory()
    environment = {"DATA_DIR": str(data_dir)}
    if not is_set("STRIPE_API_KEY"):
        # Without a key of Stripe's this is a rehearsal: the clock may be set. A public service
        # that lacks its key is a mistake, not a rehearsal.
        if not os.environ.get("PUBLIC_URL", "").startswith("https:"):
            environment["SANDBOX"] = os.environ.get("SANDBOX") or "1"
        environment |= _of_running_service(data_dir)
    if is_set("DATABASE_URL"):
        yield environment
        return
    with postgres.running(data_dir) as url:
        yield environment | {"DATABASE_URL": url}


def is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _of_running_service(data_dir: Path) -> dict[str, str]:
    """The simulator's address and secrets, if a service runs here."""
    if not files.is_held(data_dir / SERVICE_LOCK):
        return {}
    try:
        state = json.loads((data_dir / SERVICE_STATE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}  # It is starting, and has not said yet.
    return {str(name): str(value) for name, value in state["environment"].items()}
