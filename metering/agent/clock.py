"""Time as the agent sees it. A test gives it a clock on which a day passes in seconds."""

from __future__ import annotations

import threading
import time


class Clock:
    """The machine's clock, and how to wait by it."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never go back, for measuring."""
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; whether it is set."""
        return event.wait(max(0.0, seconds))
