"""Stripe's v1 idempotency: one key, one answer, for 24 simulated hours.

Owns the keys in flight (in memory: a killed process has executed nothing of theirs, because an
answer and its effects are one transaction) and the stored answers. What is refused before execution
begins is never stored; everything after is, 500s included.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import StripeFailure, invalid
from .store import Json, Store

KEPT_SECONDS = 24 * 3600
MAX_KEY = 255


@dataclass(frozen=True)
class Kept:
    """A stored answer and the request that it was first given to."""

    status: int
    body: str
    request_id: str


def fingerprint(raw: Json) -> str:
    """What must be the same when a key is used again."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()


class Gate:
    """Lets one request per key through and remembers its answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_flight: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def holding(self, key: str | None) -> Iterator[None]:
        """Hold the key while its request is under way; 409 when another holds it."""
        if key is None:
            yield
            return
        if len(key) > MAX_KEY:
            raise invalid(f"Idempotency keys can have up to {MAX_KEY} characters.")
        with self._lock:
            if key in self._in_flight:
                raise StripeFailure(
                    409,
                    "There is currently another in-progress request using this Idempotent Key "
                    "(that probably means you submitted twice, and the other request is still "
                    f"going through): {key}. Please try again later.",
                    code="idempotency_key_in_use",
                )
            self._in_flight.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight.discard(key)

    def kept(self, key: str, endpoint: str, print_: str, now: int) -> Kept | None:
        """The answer kept for this key; refused when it was another request's."""
        rows = self._store.rows(
            "SELECT * FROM idempotency WHERE key = ? AND created > ?", key, now - KEPT_SECONDS
        )
        if not rows:
            return None
        row = rows[0]
        if row["endpoint"] != endpoint:
            first, second = row["endpoint"].split(" ")[1], endpoint.split(" ")[1]
            raise mismatch(
                f"be used for the same endpoint they were first used for ('{first}' vs '{second}')",
                key,
            )
        if row["fingerprint"] != print_:
            raise mismatch("be used with the same parameters they were first used with", key)
        return Kept(row["status"], row["body"], row["request"])

    def keep(self, key: str, endpoint: str, print_: str, answer: Kept, now: int) -> None:
        """Store the answer, in the transaction of its effects."""
        self._store.run(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?)",
            key,
            endpoint,
            print_,
            answer.status,
            answer.body,
            now,
            answer.request_id,
        )


def mismatch(how: str, key: str) -> StripeFailure:
    """The same key for something else."""
    return StripeFailure(
        400,
        f"Keys for idempotent requests can only {how}. Try using a key other than '{key}' if you "
        "meant to execute a different request.",
        type_="idempotency_error",
    )
