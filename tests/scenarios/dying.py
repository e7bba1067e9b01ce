"""Processes that kill themselves with SIGKILL at a commit: `python -m tests.scenarios.dying ...`.

`dying command before|after N NAME ARGS...` runs a management command, `dying worker before|after N`
a Celery worker. The N-th commit of a database transaction in this process is the last thing that
happens, or all but happens. A command that gets that far exits with 0.
"""

from __future__ import annotations

import os
import signal
import sys

from django.db.backends.base.base import BaseDatabaseWrapper


def die_at_commit(side: str, number: int) -> None:
    """From now on count commits, and be killed at the N-th, before or after it."""
    seen = 0
    commit = BaseDatabaseWrapper._commit  # type: ignore[attr-defined]

    def counted(self: BaseDatabaseWrapper) -> None:
        nonlocal seen
        seen += 1
        if seen == number and side == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self)
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    BaseDatabaseWrapper._commit = counted  # type: ignore[attr-defined]


def main() -> None:
    """Run what the arguments say."""
    import django

    django.setup()
    what, side, number, *arguments = sys.argv[1:]
    if what == "command":
        from django.core.management import call_command

        die_at_commit(side, int(number))
        call_command(*arguments)
        return
    from billing.config.celery import app

    die_at_commit(side, int(number))
    app.worker_main(
        ["worker", "--pool", "solo", "--without-gossip", "--without-mingle", "--loglevel", "ERROR"]
    )


if __name__ == "__main__":
    main()
