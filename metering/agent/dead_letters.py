"""The dead letters: what could not be reported, each with the reason, in a file of JSON lines.

A line can be fed to an agent again as it is, once its reason is gone. Nothing here is removed by
the agent: who has read the file moves it away, and a new one is begun.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metering.agent.frames import sync_directory, write_all

LONGEST_RECORD = 100_000


class DeadLettersFull(Exception):
    """The file has reached its limit, or its disk has: nothing more is taken in until somebody
    looks."""


class DeadLetters:
    """Appends to one file; durable when `add` returns."""

    def __init__(self, path: Path, *, most_bytes: int) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether the file has reached its limit."""
        try:
            return self.path.stat().st_size >= self._most_bytes
        except FileNotFoundError:
            return False

    def add(self, letters: list[dict[str, Any]], now: float) -> None:
        """Append letters, each with `code`, `detail`, and the `event` or `record` in question.

        Whether there is still room by the limit is for the caller to ask. Raises DeadLettersFull
        if the disk does not take them.
        """
        if not letters:
            return
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        lines = "".join(
            json.dumps({"dead_letter": 1, "at": at, **letter}, default=repr) + "\n"
            for letter in letters
        )
        with self._lock:
            try:
                self._append(lines)
            except OSError as error:
                raise DeadLettersFull(f"{self.path.name}: {error.strerror}") from error

    def _append(self, lines: str) -> None:
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if not _ends_a_line(descriptor):
                lines = "\n" + lines  # A crash, or a full disk, has left half a line.
            write_all(descriptor, lines.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_directory(self.path.parent)


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"


def told(record: bytes | str) -> dict[str, Any]:
    """What a letter holds of a record that came as text: parsed where it is JSON, else the text."""
    text = record.decode("utf-8", "replace") if isinstance(record, bytes) else record
    if len(text) > LONGEST_RECORD:
        return {"text": text[:LONGEST_RECORD], "cut_from": len(text)}
    try:
        return {"record": json.loads(text)}
    except (ValueError, RecursionError):
        return {"text": text}
