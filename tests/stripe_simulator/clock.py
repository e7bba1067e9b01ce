"""The simulated time: real time plus an offset that survives a restart.

Stamps objects and ages idempotency keys. Webhook signatures and delivery retries stay in real time.
"""

from __future__ import annotations

import time

from .store import Store


class Clock:
    """Reads and moves the simulated time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def offset_seconds(self) -> int:
        """How far the simulated time is ahead of the real one."""
        return int(self._store.setting("clock_offset_seconds", 0))

    def now(self) -> int:
        """Simulated unix time in whole seconds."""
        return int(time.time()) + self.offset_seconds

    def set_offset(self, seconds: int) -> None:
        """Set the distance to the real time."""
        self._store.set_setting("clock_offset_seconds", seconds)

    def advance(self, *, hours: float = 0, seconds: float = 0) -> int:
        """Move forward; returns the new time."""
        self.set_offset(self.offset_seconds + int(hours * 3600 + seconds))
        return self.now()
