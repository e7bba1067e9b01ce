"""Webhooks on their way: signed, delivered at least once, retried until a 2xx, from an outbox.

Owns the background thread and the modes in which deliveries go wrong on purpose (see
`call.DEFAULT_MODES`): paused, delayed, duplicated, reordered, dropped. Times here are real ones.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import logging
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from . import event_reads
from .call import DEFAULT_MODES, Call
from .clock import Clock
from .spec import Spec
from .store import Json, Store

logger = logging.getLogger("stripe_simulator")
TIMEOUT_SECONDS = 15
MAX_RETRY_SECONDS = 30.0
GIVE_UP_ATTEMPTS = 200
REORDER_HOLD_SECONDS = 0.3
POLL_SECONDS = 0.25
BATCH = 100


def signature(payload: str, secret: str, at: int) -> str:
    """The value of the `Stripe-Signature` header."""
    digest = hmac.new(secret.encode(), f"{at}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def post(url: str, payload: str, secret: str) -> int:
    """Deliver once; the status that came back. Raises `OSError` when nobody answered."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(payload, secret, int(time.time())),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, payload.encode(), headers)
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


class Deliveries:
    """The outbox and the thread that empties it."""

    def __init__(self, store: Store, spec: Spec, clock: Clock) -> None:
        self._store, self._spec, self._clock = store, spec, clock
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin to deliver, first of all what an earlier process left."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the delivery that is under way."""
        self._stopping = True
        self._wake.set()
        self._thread.join(TIMEOUT_SECONDS)

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    @property
    def modes(self) -> Json:
        """How deliveries go at present."""
        return {**DEFAULT_MODES, **self._store.setting("webhook_modes", {})}

    def set_modes(self, **modes: Any) -> Json:
        """Change some modes; the others stay."""
        unknown = set(modes) - set(DEFAULT_MODES)
        if unknown:
            raise ValueError(f"unknown webhook modes {sorted(unknown)}")
        self._store.set_setting("webhook_modes", {**self.modes, **modes})
        self.wake()
        return self.modes

    def pending(self) -> int:
        """Deliveries that are neither made, dropped nor given up."""
        return int(
            self._store.rows("SELECT COUNT(*) FROM deliveries WHERE state = 'pending'")[0][0]
        )

    def resend(self, event: str | None = None) -> int:
        """Queue deliveries again: those of one event, or all that were dropped or given up."""
        changed = self._store.run(
            "UPDATE deliveries SET state = 'pending', attempts = 0, copies = 0, due_at = 0"
            " WHERE event = ?1 OR (?1 IS NULL AND state IN ('dropped', 'failed'))",
            event,
        )
        self.wake()
        return int(changed.rowcount)

    def listed(self) -> list[Json]:
        """Every delivery, oldest first."""
        return [dict(row) for row in self._store.rows("SELECT * FROM deliveries ORDER BY id")]

    def _loop(self) -> None:
        while not self._stopping:
            try:
                delivered = self._deliver_due()
            except sqlite3.ProgrammingError:
                return  # the store was closed under us
            except Exception:
                logger.exception("delivering webhooks failed")
                delivered = 0
            if not delivered:
                self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _deliver_due(self) -> int:
        """Deliver what is due now; how many attempts were made."""
        modes = self.modes
        if modes["paused"]:
            return 0
        hold = REORDER_HOLD_SECONDS if modes["reorder"] else 0.0
        rows = self._store.rows(
            "SELECT * FROM deliveries WHERE state = 'pending' AND due_at <= ? ORDER BY id LIMIT ?",
            time.time() - hold,
            BATCH,
        )
        if modes["reorder"]:
            rows.reverse()
        if modes["parallel"] > 1 and len(rows) > 1:
            with ThreadPoolExecutor(int(modes["parallel"])) as pool:
                list(pool.map(lambda row: self._deliver(row, modes), rows))
        else:
            for row in rows:
                if self._stopping or self.modes["paused"]:
                    break
                self._deliver(row, modes)
        return len(rows)

    def _deliver(self, row: sqlite3.Row, modes: Json) -> None:
        """One attempt, and what it means for the row."""
        endpoint = self._store.find("webhook_endpoint", row["endpoint"])
        event = self._store.find("event", row["event"])
        if endpoint is None or event is None or self._dropped():
            self._store.run("UPDATE deliveries SET state = 'dropped' WHERE id = ?", row["id"])
            return
        call = Call(self._store, self._spec, self._clock.now())
        payload = json.dumps(event_reads.shown(call, event))
        try:
            status: int | None = post(endpoint["url"], payload, endpoint["_secret"])
            answer = str(status)
        except (OSError, http.client.HTTPException) as error:
            status, answer = None, f"{type(error).__name__}: {error}"
        attempts = row["attempts"] + 1
        due_at, state, copies = row["due_at"], "pending", row["copies"]
        if status is not None and 200 <= status < 300:
            state = "pending" if copies > 0 else "delivered"
            copies = max(0, copies - 1)
        else:
            wait = min(MAX_RETRY_SECONDS, float(modes["retry_seconds"]) * 2 ** min(attempts - 1, 8))
            due_at = time.time() + wait
            state = "failed" if attempts >= GIVE_UP_ATTEMPTS else "pending"
        self._store.run(
            "UPDATE deliveries SET attempts = ?, due_at = ?, state = ?, copies = ?, answer = ?"
            " WHERE id = ?",
            attempts,
            due_at,
            state,
            copies,
            answer,
            row["id"],
        )

    def _dropped(self) -> bool:
        """Whether this delivery is one of those ordered to be lost (-1: all of them)."""
        with self._store.transaction():
            left = int(self.modes["drop"])
            if left > 0:
                self._store.set_setting("webhook_modes", {**self.modes, "drop": left - 1})
        return left != 0
