"""Reads a trace of LLM requests: when each arrived, and its tokens in and out.

The columns are those of the Azure traces: TIMESTAMP, ContextTokens, GeneratedTokens.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
# The trace counts in tenths of a microsecond, which no datetime can hold.
FINER_THAN_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


class TraceRefused(Exception):
    """The file is not a trace; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of the trace. `number` is its place in the file, from 0: its identity."""

    number: int
    arrived_at: datetime
    input_tokens: int
    output_tokens: int


def read_trace(path: Path) -> list[TracedRequest]:
    """All requests of the file, in its order. Raises TraceRefused."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise TraceRefused(f"{path} has no column {', '.join(missing)}")
            trace = [_request(path, number, row) for number, row in enumerate(rows)]
    except (OSError, UnicodeDecodeError) as error:
        raise TraceRefused(f"{path} cannot be read: {error}") from error
    if not trace:
        raise TraceRefused(f"{path} has no requests")
    return trace


def _request(path: Path, number: int, row: dict[str, str]) -> TracedRequest:
    try:
        arrived_at = datetime.fromisoformat(
            FINER_THAN_MICROSECONDS.sub(r"\1", row["TIMESTAMP"].strip())
        )
        tokens = int(row["ContextTokens"]), int(row["GeneratedTokens"])
    except (ValueError, AttributeError, TypeError) as error:
        raise TraceRefused(f"{path}, request {number + 1}: {error}") from error
    if min(tokens) < 0:
        raise TraceRefused(f"{path}, request {number + 1}: tokens below 0")
    if arrived_at.tzinfo is None:
        arrived_at = arrived_at.replace(tzinfo=UTC)
    return TracedRequest(number, arrived_at.astimezone(UTC), *tokens)
