"""What every test has around it: no network but the loopback, and a quick password hash."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.backends.postgresql.operations import DatabaseOperations
from pytest_django.fixtures import Settings

from metering.services import usage_deltas

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """A connection to anywhere else fails at once: no test depends on, or reaches, the world."""
    connect = socket.socket.connect

    def connect_on_loopback(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(
            LOOPBACK
        ):
            raise ConnectionRefusedError(f"a test reached for the network: {address!r}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_on_loopback)
        yield


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """The real hash takes a third of a second by design."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def deltas_are_counted_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process folds at every thirty-second: which test meets it must not hang on their order."""
    monkeypatch.setattr(usage_deltas, "_count", usage_deltas._Count())


@pytest.fixture(autouse=True, scope="session")
def tests_may_empty_the_books() -> Iterator[None]:
    """Between tests that commit, pytest-django truncates every table; the books refuse that.

    Their guards are ordinary triggers, which a replica's session does not fire. Chunks and
    deltas have no models, and so would be left.
    """
    flush = DatabaseOperations.sql_flush

    def flush_as_replica(self: DatabaseOperations, *args: Any, **options: Any) -> list[str]:
        statements = flush(self, *args, **options)
        if not statements:
            return []
        everything = [*statements, "TRUNCATE metering_usagechunk, metering_usagedelta"]
        return ["SET LOCAL session_replication_role = replica", *everything]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DatabaseOperations, "sql_flush", flush_as_replica)
        yield
