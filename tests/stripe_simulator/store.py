"""The simulator's state in one SQLite file: objects, events' deliveries, idempotency records, log.

Owns the connection, the lock, the tables and the transactions. Every change of one request is one
transaction, so `kill -9` leaves all of it or nothing. Keys that begin with `_` are the simulator's
own notes on an object and never leave it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import string
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Json = dict[str, Any]
ALPHABET = string.ascii_letters + string.digits
TABLES = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, customer TEXT, invoice TEXT, state TEXT, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, customer, seq);
CREATE INDEX IF NOT EXISTS objects_by_invoice ON objects (kind, invoice, seq);
CREATE INDEX IF NOT EXISTS objects_by_state ON objects (kind, state, seq);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, endpoint TEXT NOT NULL, fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL, body TEXT NOT NULL, created INTEGER NOT NULL, request TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL,
    copies INTEGER NOT NULL DEFAULT 0, answer TEXT);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, due_at);
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, method TEXT NOT NULL,
    path TEXT NOT NULL, key TEXT, status INTEGER, outcome TEXT NOT NULL, code TEXT);
CREATE TABLE IF NOT EXISTS violations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL,
    problems TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
NAMES = ("objects", "idempotency", "deliveries", "requests", "violations", "settings")


def new_id(prefix: str) -> str:
    """A fresh id in Stripe's manner: `in_` and 24 letters and digits."""
    return f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(24))}"


def public(body: Any) -> Any:
    """The body without the simulator's own notes, at every depth."""
    if isinstance(body, dict):
        return {key: public(value) for key, value in body.items() if not key.startswith("_")}
    if isinstance(body, list):
        return [public(value) for value in body]
    return body


class Store:
    """One connection behind one lock; `path` None keeps everything in memory."""

    def __init__(self, path: str | None) -> None:
        self.lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(TABLES)

    def close(self) -> None:
        """Close the file; the store is of no use afterwards."""
        with self.lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a nested one is a savepoint of the outer one."""
        with self.lock:
            name = f"level_{self._depth}"
            self._db.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                else:
                    self._db.execute(f"ROLLBACK TO {name}")
                    self._db.execute(f"RELEASE {name}")
                raise
            self._depth -= 1
            self._db.execute("COMMIT" if self._depth == 0 else f"RELEASE {name}")

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Execute one statement under the lock."""
        with self.lock:
            return self._db.execute(sql, values)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows of one query."""
        with self.lock:
            return self._db.execute(sql, values).fetchall()

    def add(self, body: Json) -> Json:
        """Store a new object; its kind is its `object` field."""
        self.run(
            "INSERT INTO objects (id, kind, created, customer, invoice, state, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            body["id"],
            body["object"],
            body.get("created", body.get("date", 0)),
            *columns(body),
            json.dumps(body),
        )
        return body

    def save(self, body: Json) -> Json:
        """Write an object back."""
        self.run(
            "UPDATE objects SET customer = ?, invoice = ?, state = ?, body = ? WHERE id = ?",
            *columns(body),
            json.dumps(body),
            body["id"],
        )
        return body

    def remove(self, id_: str) -> None:
        """Forget an object."""
        self.run("DELETE FROM objects WHERE id = ?", id_)

    def find(self, kind: str, id_: str) -> Json | None:
        """The object, or None."""
        rows = self.rows("SELECT body FROM objects WHERE id = ? AND kind = ?", id_, kind)
        return json.loads(rows[0]["body"]) if rows else None

    def any_kind(self, id_: str) -> Json | None:
        """The object of whatever kind, or None."""
        rows = self.rows("SELECT body FROM objects WHERE id = ?", id_)
        return json.loads(rows[0]["body"]) if rows else None

    def sequence(self, kind: str, id_: str) -> int | None:
        """The place of an object in the order of creation."""
        rows = self.rows("SELECT seq FROM objects WHERE id = ? AND kind = ?", id_, kind)
        return int(rows[0]["seq"]) if rows else None

    def select(
        self, kind: str, where: str = "1", *values: Any, order: str = "ASC", limit: int = -1
    ) -> list[Json]:
        """Objects of a kind in the order of creation."""
        rows = self.rows(
            f"SELECT body FROM objects WHERE kind = ? AND {where} ORDER BY seq {order} LIMIT ?",  # noqa: S608
            kind,
            *values,
            limit,
        )
        return [json.loads(row["body"]) for row in rows]

    def setting(self, name: str, default: Any) -> Any:
        """A setting that survives a restart."""
        rows = self.rows("SELECT value FROM settings WHERE name = ?", name)
        return json.loads(rows[0]["value"]) if rows else default

    def set_setting(self, name: str, value: Any) -> None:
        """Write a setting."""
        self.run(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?2",
            name,
            json.dumps(value),
        )

    def wipe(self) -> None:
        """Forget everything."""
        with self.transaction():
            for name in NAMES:
                self.run(f"DELETE FROM {name}")  # noqa: S608


def columns(body: Json) -> tuple[Any, Any, Any]:
    """The searchable columns: customer, invoice, and the status (an event's type)."""
    state = body.get("type") if body["object"] == "event" else body.get("status")
    return body.get("customer"), body.get("invoice"), state
