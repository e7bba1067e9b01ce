"""One file that is being followed: its lines from where it was left, as records.

It notices when the file was truncated, even if it has grown past the old place since, because what
was read is looked at again before and after each reading (positions.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from metering.agent.intake import Arrived, anchor
from metering.agent.positions import MARK_BYTES, Position, mark

READ_BYTES = 2**20  # Also the longest line that can be a record.
_FIRST_LINE = 4096


@dataclass(slots=True)
class OpenFile:
    """An open descriptor and its position; `changed_at` by the monotonic clock."""

    descriptor: int
    position: Position
    changed_at: float
    first: bytes = b""
    last: bytes = b""
    looked: tuple[int, int] = field(default=(-1, -1))  # Size and time of change, when last seen.
    skipping: bool = False  # Inside of a line that is longer than any record may be.

    @classmethod
    def at(cls, descriptor: int, position: Position, now: float) -> OpenFile:
        """A file whose position fits it."""
        length = min(position.offset, MARK_BYTES)
        first = os.pread(descriptor, length, 0)
        last = os.pread(descriptor, length, position.offset - length)
        return cls(descriptor, position, now, first, last)

    @property
    def identity(self) -> tuple[int, int]:
        return self.position.device, self.position.inode

    def has_changed(self, now: float) -> bool:
        """Whether it looks different from when this was asked last."""
        found = os.fstat(self.descriptor)
        look = (found.st_size, found.st_mtime_ns)
        if look == self.looked:
            return False
        self.looked, self.changed_at = look, now
        return True

    def unread(self) -> int:
        """How many bytes there are behind the position."""
        return max(0, os.fstat(self.descriptor).st_size - self.position.offset)

    def is_another(self) -> bool:
        """Whether what was read is no longer there: the file was truncated or overwritten."""
        return not self.position.fits(self.descriptor)

    def begin_again(self) -> Position:
        """Read it from its start; gives the position of what it was before, to be kept."""
        before = replace(self.position, is_over=True)
        self.position = replace(self.position, offset=0, mark=mark(b"", b""))
        self.first = self.last = b""
        self.skipping = False
        return before

    def next_lines(self, *, to_the_end: bool) -> Step | None:
        """The next whole lines; None if there are none yet. It does not move: see `move`.

        `to_the_end` takes a last line without its end for whole.
        """
        start = self.position.offset
        content = os.pread(self.descriptor, READ_BYTES, start)
        if not content or self.is_another():
            return None  # What was just read may be of a new content: look again first.
        whole = content.rfind(b"\n") + 1
        if not whole:
            if len(content) == READ_BYTES:
                return self._step(content, self._cut_line(content, start), skipping=True)
            if not to_the_end:
                return None
            whole = len(content)
        taken = content[:whole]
        skipped = taken.index(b"\n") + 1 if self.skipping and b"\n" in taken else 0
        return self._step(taken, list(self._records(taken[skipped:], start + skipped)))

    def move(self, step: Step) -> None:
        """Go on behind lines that are safe in the spool."""
        self.position, self.skipping = step.position, step.skipping
        self.first, self.last = step.first, step.last

    def _step(self, taken: bytes, records: list[Arrived], *, skipping: bool = False) -> Step:
        # The mark is made of what was read, not of what stands there a moment later.
        first = (self.first + taken)[:MARK_BYTES]
        last = (self.last + taken[-MARK_BYTES:])[-MARK_BYTES:]
        offset = self.position.offset + len(taken)
        position = replace(self.position, offset=offset, mark=mark(first, last))
        return Step(records, position, first, last, skipping)

    def _records(self, content: bytes, start: int) -> Iterator[Arrived]:
        begins = self._begins()
        place = start
        for line in content.split(b"\n"):
            text = line.strip()
            if text:
                yield Arrived(text, anchor(begins, place, text))
            place += len(line) + 1

    def _cut_line(self, content: bytes, start: int) -> list[Arrived]:
        """The first piece of a line that is longer than any record may be, for the dead letters;
        nothing of its further pieces."""
        if self.skipping:
            return []
        return [Arrived(content, anchor(self._begins(), start, content))]

    def _begins(self) -> bytes:
        """The file's first line: it tells the generations of a rotated file apart."""
        begins = os.pread(self.descriptor, _FIRST_LINE, 0)
        return hashlib.sha256(begins.split(b"\n", 1)[0]).digest()


@dataclass(frozen=True, slots=True)
class Step:
    """Lines that were read, and where the file stands behind them."""

    records: list[Arrived]
    position: Position
    first: bytes
    last: bytes
    skipping: bool
