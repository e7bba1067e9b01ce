"""The data directory of the demo: used, replaced or left alone.

DATA_DIR is left behind for `make serve`. A second run starts afresh, so it replaces what the last
run left, but only a directory that carries the demo's mark; anything else is somebody's books.
"""

from __future__ import annotations

from pathlib import Path

from billing.config.launcher import files, postgres
from billing.config.launcher.environment import SERVICE_LOCK

MARK = "made-by-make-demo"


class HomeRefused(Exception):
    """The directory cannot be used now; the message says why and what to do."""


def prepare(directory: Path) -> bool:
    """Make room for a run; True if the data of an earlier one was thrown away for it.

    Raises HomeRefused while a service runs there.
    """
    if files.is_held(directory / SERVICE_LOCK):
        raise HomeRefused(f"a service is running on {directory}: stop it, or set another DATA_DIR")
    is_ours = (directory / MARK).exists()
    if is_ours:
        postgres.remove(directory)
    files.prepare(directory)
    return is_ours


def mark(directory: Path) -> None:
    """From now on the directory is the demo's, to be replaced by its next run."""
    (directory / MARK).write_text(
        "The next `make demo` replaces this directory. Remove this file to keep the data.\n"
    )


def beside(directory: Path) -> Path:
    """Where the demo goes when the directory is somebody's books."""
    return directory.with_name(f"{directory.name}-demo")
