"""Faults to order: the next requests that match are dropped, refused, delayed or broken.

Kinds: `drop_request` (closed before anything happens), `rate_limit` (429, not kept), `delay`
(executes after `seconds`, its key in flight meanwhile), `error_500` (nothing executed, kept for the
key), `error_500_after` (executed, yet a 500 is answered and kept), `drop_response` (executed and
kept, then closed). Held in memory: a restart forgets them.
"""

from __future__ import annotations

import fnmatch
import threading
from dataclasses import asdict, dataclass
from typing import Any

KINDS = (
    "drop_request", "rate_limit", "delay", "error_500", "error_500_after", "drop_response",
)  # fmt: skip


@dataclass
class Fault:
    """One order: `path` is a glob; the first `skip` matches pass, the next `times` are hit."""

    kind: str
    method: str = "*"
    path: str = "*"
    times: int = 1
    skip: int = 0
    seconds: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is meant."""
        return self.method in ("*", method) and fnmatch.fnmatchcase(path, self.path)


class Faults:
    """The orders that are still open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[Fault] = []

    def add(self, **order: Any) -> Fault:
        """Order a fault."""
        fault = Fault(**order)
        if fault.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {fault.kind!r}: one of {', '.join(KINDS)}")
        with self._lock:
            self._open.append(fault)
        return fault

    def take(self, kinds: tuple[str, ...], method: str, path: str) -> Fault | None:
        """The fault that hits this request at this stage."""
        with self._lock:
            for fault in self._open:
                if fault.kind not in kinds or not fault.matches(method, path):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                self._open = [other for other in self._open if other.times > 0]
                return fault
        return None

    def clear(self) -> None:
        """Forget every order."""
        with self._lock:
            self._open = []

    def listed(self) -> list[dict[str, Any]]:
        """The open orders."""
        with self._lock:
            return [asdict(fault) for fault in self._open]
