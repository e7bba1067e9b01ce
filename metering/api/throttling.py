"""How fast one key may post usage: a token bucket per key and process.

Kept in memory on purpose: a limit that protects the database must not cost it a write. With n
processes a key gets up to n times the rate. USAGE_REQUESTS_PER_SECOND sets it; a bucket holds two
seconds' worth.
"""

import threading
import time
from collections.abc import Callable

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from billing.api.authentication import key_of

DEFAULT_REQUESTS_PER_SECOND = 500
BURST_SECONDS = 2
KEPT_KEYS = 10_000


class TokenBuckets:
    """Buckets by key, refilled at `per_second`; `clock` gives seconds that never go back."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second = per_second
        self._clock = clock
        self._buckets: dict[object, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, key: object) -> float:
        """Take one token: 0 if there was one, else the seconds until there is."""
        size = self.per_second * BURST_SECONDS
        now = self._clock()
        with self._lock:
            if key not in self._buckets and len(self._buckets) >= KEPT_KEYS:
                self._buckets.clear()
            tokens, at = self._buckets.get(key, (size, now))
            tokens = min(size, tokens + (now - at) * self.per_second)
            if tokens >= 1:
                self._buckets[key] = (tokens - 1, now)
                return 0
            self._buckets[key] = (tokens, now)
            return (1 - tokens) / self.per_second


_buckets = TokenBuckets(
    float(getattr(settings, "USAGE_REQUESTS_PER_SECOND", DEFAULT_REQUESTS_PER_SECOND))
)


class UsageThrottle(BaseThrottle):
    """Answers 429 with Retry-After to a key that posts usage too fast."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        if request.method != "POST":
            return True
        self._seconds = _buckets.take(key_of(request).pk)
        return self._seconds == 0

    def wait(self) -> float:
        return max(1.0, self._seconds)
