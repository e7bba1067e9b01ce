"""`python -m tests.agent.hurried`: the agent on a clock that runs faster than the machine's.

HURRIED_FROM is the real instant at which both show the same, HURRIED_BY how many times as fast it
runs; so several starts agree on what time it is, and a day of outage passes in seconds.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from metering.agent.__main__ import main
from metering.agent.clock import Clock


class HurriedClock(Clock):
    """A clock that has run faster since an instant of the machine's clock."""

    def __init__(self, since: float, factor: float) -> None:
        self._since, self._factor = since, factor

    def now(self) -> float:
        return self._since + (time.time() - self._since) * self._factor

    def monotonic(self) -> float:
        return time.monotonic() * self._factor

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds) / self._factor)


if __name__ == "__main__":
    clock = HurriedClock(float(os.environ["HURRIED_FROM"]), float(os.environ["HURRIED_BY"]))
    sys.exit(main(clock))
