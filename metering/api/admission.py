"""How much usage a process holds in memory at once: more is sent away before it is read.

A body counts with what it may come to: as long as it says it is, or, packed, as long as an
unpacked one may be. What is sent away is told to come back; agents do, with a pause that grows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from metering.domain.bodies import MAX_BYTES

RETRY_SECONDS = 2
DEFAULT_MEGABYTES = 128


class Overloaded(Exception):
    """There is no room for the body now: 503 with Retry-After."""


class Admission:
    """Counts the bytes of the bodies that are being worked on."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._bytes = 0
        self._lock = threading.Lock()

    @contextmanager
    def admit(self, *, length: int, is_packed: bool) -> Iterator[None]:
        """Room for one body while the block lasts. Raises Overloaded; one alone always fits."""
        counted = max(length, MAX_BYTES) if is_packed else length
        with self._lock:
            if self._bytes and self._bytes + counted > self.most_bytes:
                raise Overloaded
            self._bytes += counted
        try:
            yield
        finally:
            with self._lock:
                self._bytes -= counted


admission = Admission(getattr(settings, "USAGE_BODY_MEGABYTES", DEFAULT_MEGABYTES) * 2**20)
