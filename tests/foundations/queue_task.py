"""A task that test_queue.py lets a worker die in; run as a module, this sends it once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from billing.config.celery import app


@app.task(name="tests.slow_at_first")
def slow_at_first() -> None:
    """The first run takes for ever, so that its worker can be killed in it; the second ends."""
    steps = Path(os.environ["LEDGER_TEST_STEPS"])
    runs_before = steps.read_text().count("started")
    with steps.open("a") as stream:
        stream.write("started\n")
    if not runs_before:
        time.sleep(120)
    with steps.open("a") as stream:
        stream.write("finished\n")


if __name__ == "__main__":
    app.send_task("tests.slow_at_first")
