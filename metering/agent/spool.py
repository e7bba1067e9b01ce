"""The spool: what was accepted and is not delivered yet, on disk, in the order in which it came.

Append-only segment files of frames (frames.py). A frame holds some events and, in the same write,
how far the inputs have been read: both are there after a crash, or neither. `append` returns once
its frame is durable; appends of several threads share an fsync. A start never writes to an old
segment, so that a torn end stays where it is and is read over. Bounded: beyond `most_bytes` nothing
is taken any more until the oldest segment has been delivered.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from metering.agent.clock import Clock
from metering.agent.frames import Damage, Frame, framed, scan_file, sync_directory, write_all
from metering.agent.segments import Batch, Place, head_of, payload_of

log = logging.getLogger("metering.agent")
SUFFIX = ".spool"
NEWEST_SEGMENTS, MOST_NEWEST = 3, 100_000


class SpoolFull(Exception):
    """There is no room, or no disk, for more at the moment; nothing was taken."""


class SpoolBroken(Exception):
    """The disk did not confirm a write. What it holds is known only after a new start."""


class Spool:
    """One directory of segments; `positions` tells how far each file has been read."""

    def __init__(
        self, directory: Path, *, most_bytes: int, segment_bytes: int, clock: Clock
    ) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._segment_bytes = min(segment_bytes, max(most_bytes // 4, 4096))
        self._clock = clock
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._sizes: dict[int, int] = {}
        self._damaged: set[int] = set()
        self._written = self._durable = Place()
        self._descriptor = -1
        self._retired: list[int] = []  # Descriptors of finished segments, perhaps in an fsync.
        self.positions: dict[str, Any] = {}
        self.appended = threading.Event()  # Set when there is something new to read.
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._recover()
        self._begin_segment(max(self._sizes, default=0) + 1)

    @property
    def bytes_held(self) -> int:
        """What the segments take on disk."""
        return sum(self._sizes.copy().values())

    def append(self, events: Sequence[bytes], positions: Mapping[str, Any] | None = None) -> None:
        """Take events in, and how far their file has been read; durable when it returns.

        Raises SpoolFull, with nothing taken, and SpoolBroken.
        """
        payload = payload_of(events, positions or {}, self._clock.now())
        with self._lock:
            end = self._write(framed(payload))
            self._move_on(positions or {})
        self._make_durable(end)
        self.appended.set()

    def read(self, after: Place, most_events: int, most_bytes: int) -> Batch:
        """The next whole frames after a place, up to about so much; what is durable only."""
        batch = Batch(most_events, most_bytes, after)
        with self._lock:
            durable, sizes = self._durable, dict(self._sizes)
        for number in sorted(one for one in sizes if one >= after.segment):
            start = after.offset if number == after.segment else 0
            limit = durable.offset if number == durable.segment else sizes[number]
            for one in scan_file(self._path(number), start, limit):
                if isinstance(one, Damage):
                    self._note_damage(number, one)
                elif not batch.add(one):
                    return batch
                batch.end = Place(number, one.end)
        return batch

    def newest(self) -> list[bytes]:
        """The events of the newest segments, delivered or not, as far as they are still there."""
        with self._lock:
            numbers = sorted(self._sizes)[-NEWEST_SEGMENTS:]
        return self.read(Place(numbers[0]), MOST_NEWEST, self._segment_bytes * 4).events

    def forget_before(self, place: Place) -> None:
        """Remove the segments that lie wholly before a place. A damaged one is set aside."""
        with self._lock:
            for number in [one for one in self._sizes if one < place.segment]:
                path = self._path(number)
                if number in self._damaged:
                    path.rename(path.with_suffix(".damaged"))
                else:
                    path.unlink(missing_ok=True)
                del self._sizes[number]

    def count_after(self, place: Place) -> int:
        """How many events lie behind a place: what is still to be delivered."""
        total, numbers = 0, [one for one in sorted(self._sizes) if one >= place.segment]
        for number in numbers:
            offset = place.offset if number == place.segment else 0
            frames = scan_file(self._path(number), offset, self._sizes[number])
            total += sum(head_of(one)["n"] for one in frames if isinstance(one, Frame))
        return total

    def close(self) -> None:
        """Close the segment that is written to."""
        with self._syncing, self._lock:
            for descriptor in [*self._retired, self._descriptor]:
                if descriptor >= 0:
                    os.close(descriptor)
            self._retired, self._descriptor = [], -1

    # --- Writing ------------------------------------------------------------------------------
    def _write(self, frame: bytes) -> Place:
        """Write a frame to the current segment; the caller holds the lock."""
        if self._descriptor < 0:
            raise SpoolFull("the spool is closed")
        if self.bytes_held + len(frame) > self._most_bytes:
            raise SpoolFull(f"the spool holds {self.bytes_held} bytes already")
        if self._written.offset > self._segment_bytes:
            self._finish_segment()
        number, offset = self._written.segment, self._written.offset
        try:
            write_all(self._descriptor, frame)
        except OSError as error:
            # A disk without room: take back what part of the frame is there.
            self._take_back(offset)
            raise SpoolFull(f"the disk does not take it: {error.strerror}") from error
        self._written = Place(number, offset + len(frame))
        self._sizes[number] = self._written.offset
        return self._written

    def _take_back(self, offset: int) -> None:
        try:
            os.ftruncate(self._descriptor, offset)
            os.lseek(self._descriptor, offset, os.SEEK_SET)
        except OSError as error:
            raise SpoolBroken(f"half a frame stays behind: {error.strerror}") from error

    def _make_durable(self, end: Place) -> None:
        """Return once everything up to a place is on disk; one thread syncs for all that wait."""
        with self._syncing:
            with self._lock:
                for retired in self._retired:
                    os.close(retired)
                self._retired = []
                # Whoever finishes a segment makes it durable, so only the current one is left.
                target, descriptor, is_done = self._written, self._descriptor, self._durable >= end
            if is_done:
                return
            if descriptor < 0:
                raise SpoolBroken("the spool was closed under a write")
            _fsync(descriptor)
            with self._lock:
                self._durable = max(self._durable, target)

    def _finish_segment(self) -> None:
        """Make the current segment durable and begin the next; the caller holds the lock."""
        _fsync(self._descriptor)
        before = self._descriptor
        try:
            self._begin_segment(self._written.segment + 1)
        except OSError as error:
            raise SpoolFull(f"no new segment can be made: {error.strerror}") from error
        self._retired.append(before)

    def _begin_segment(self, number: int) -> None:
        """Open a new segment; its first frame says how far all inputs have been read."""
        path = self._path(number)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            frame = framed(payload_of([], self.positions, self._clock.now(), whole=True))
            write_all(descriptor, frame)
            _fsync(descriptor)
            sync_directory(self._directory)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        self._descriptor = descriptor
        self._sizes[number] = len(frame)
        self._written = self._durable = Place(number, len(frame))

    def _note_damage(self, number: int, damage: Damage) -> None:
        if number not in self._damaged:
            log.error(
                "spool segment %d: %d bytes from %d on are torn or damaged; the segment is kept",
                number, len(damage.content), damage.start,
            )  # fmt: skip
        self._damaged.add(number)

    def _recover(self) -> None:
        """Find the segments, and in them how far the inputs have been read."""
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            number = int(path.stem)
            self._sizes[number] = path.stat().st_size
            for one in scan_file(path, 0, self._sizes[number]):
                if isinstance(one, Frame):
                    head = head_of(one)
                    if head.get("whole"):
                        self.positions.clear()
                    self._move_on(head["positions"])

    def _move_on(self, positions: Mapping[str, Any]) -> None:
        """Take over positions; None forgets one."""
        for name, position in positions.items():
            if position is None:
                self.positions.pop(name, None)
            else:
                self.positions[name] = position

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}{SUFFIX}"


def _fsync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # After a failed fsync the kernel may call the lost pages clean: only a new start is safe.
        raise SpoolBroken(f"the disk does not confirm a write: {error.strerror}") from error
