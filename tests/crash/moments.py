"""Finds every moment at which a process can be cut off: before and after each commit of the
database, and before and after each request to Stripe. It can end the process at one of them.

A `commit` ends a transaction; a `write` is one statement that is its own transaction.

Nothing is placed by hand: psycopg and Stripe's HTTP client are hooked, so a commit or a call that
is added tomorrow is found tomorrow.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import psycopg
import stripe
from psycopg.pq import TransactionStatus

CUT_OFF = 137  # How a process ends that was cut off, as after a kill -9.
PRODUCT = ("billing.", "metering.", "commits.")
# Outside a transaction a statement is its own commit, unless it only reads. Of all SELECTs only
# the booking function writes.
_READS = re.compile(r"\s*(SHOW|SET|RESET|SELECT(?!\s+billing_book\())", re.IGNORECASE)

_seen = 0
_wanted = 0
_trail = -1


def install(trail: str, die_at: int = 0) -> None:
    """Write every moment of this process into the file `trail`, and end it at the one numbered.

    Counts from 1; 0 lets it live. Only for a process that was made to die.
    """
    global _trail, _wanted
    _trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    _wanted = die_at
    commit, execute = psycopg.Connection.commit, psycopg.Cursor.execute
    request = stripe.RequestsClient.request

    def committed(self: Any) -> None:
        _surrounded("commit", lambda: commit(self))

    def executed(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        if _commits_itself(self.connection, query):
            return _surrounded("write", lambda: execute(self, query, *args, **options))
        return execute(self, query, *args, **options)

    def requested(self: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        what = f"{method.upper()} {_path(url)}"
        return _surrounded(what, lambda: request(self, method, url, *args, **options))

    psycopg.Connection.commit = committed  # type: ignore[method-assign]
    psycopg.Cursor.execute = executed  # type: ignore[method-assign]
    stripe.RequestsClient.request = requested  # type: ignore[method-assign]


def _commits_itself(connection: Any, query: Any) -> bool:
    if not connection.autocommit or connection.info.transaction_status != TransactionStatus.IDLE:
        return False
    text = query.decode() if isinstance(query, bytes) else str(query)
    return _READS.match(text) is None


def _path(url: str) -> str:
    """The address without its host, and without ids, which differ from run to run."""
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    return "/" + re.sub(r"/(in|cus)_\w+", r"/\1", path)


def _surrounded(what: str, action: Callable[[], Any]) -> Any:
    _pass("before", what)
    answer = action()
    _pass("after", what)
    return answer


def _pass(side: str, what: str) -> None:
    global _seen
    _seen += 1
    os.write(_trail, f"{side} {what} in {_place()}\n".encode())
    if _seen == _wanted:
        os._exit(CUT_OFF)


def _place() -> str:
    """The function of the product nearest to the moment."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(PRODUCT):
            return f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "the test"
