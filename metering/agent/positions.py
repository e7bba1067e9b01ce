"""How far a file has been read, told by its content and not by its name.

A position holds an offset and a hash of what was read first and last before it (the mark). It fits
a file if those bytes are there: so a renamed file, and the copy that `copytruncate` makes, go on
where the original was left, and a truncated file that has grown again is seen to be another one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

MARK_BYTES = 512


@dataclass(frozen=True, slots=True)
class Position:
    """Where the reading of a file goes on. `is_over` once the file has been left for good."""

    path: str
    device: int
    inode: int
    offset: int
    mark: str
    is_over: bool = False

    @property
    def name(self) -> str:
        """What it is stored under: one for each file, and one for each content it had before."""
        kept = self.mark if self.is_over else "now"
        return f"{self.path}|{self.device}:{self.inode}|{kept}"

    def stored(self) -> dict[str, Any]:
        """As the spool keeps it."""
        return asdict(self)

    def fits(self, descriptor: int) -> bool:
        """Whether what was read is what stands in this file."""
        return os.fstat(descriptor).st_size >= self.offset and (
            mark_of(descriptor, self.offset) == self.mark
        )


def mark_of(descriptor: int, offset: int) -> str:
    """The mark of a file that has been read up to an offset."""
    length = min(offset, MARK_BYTES)
    return mark(os.pread(descriptor, length, 0), os.pread(descriptor, length, offset - length))


def mark(first: bytes, last: bytes) -> str:
    """The mark of what was read first and last."""
    return hashlib.sha256(first + last).hexdigest()[:32]


def best_fit(descriptor: int, known: Iterable[Position]) -> Position | None:
    """The position that a file goes on from: its own, else the furthest that fits."""
    found = os.fstat(descriptor)
    fitting = [one for one in known if one.offset and one.fits(descriptor)]
    return max(
        fitting,
        key=lambda one: ((one.device, one.inode) == (found.st_dev, found.st_ino), one.offset),
        default=None,
    )
