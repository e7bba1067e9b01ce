"""Follows files of JSON lines through rotation, by rename and by copy and truncate.

A followed path stands for a family: the file of that name, and those that were rotated away from
it (its name, then `.` or `-` and anything, uncompressed) in the same directory. Members are told
apart by content (positions.py). Reading a line twice does no harm, for it gets the same id; so
wherever it is unclear whether something was read, it is read.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLettersFull
from metering.agent.families import Families, Member
from metering.agent.intake import Intake
from metering.agent.lines import OpenFile
from metering.agent.positions import Position, best_fit, mark, mark_of
from metering.agent.spool import SpoolFull

log = logging.getLogger("metering.agent")
INPUT = "file"
SETTLED_SECONDS = 1.0  # A copy that is still being made changes more often than that.
ENDED_SECONDS = 5.0  # After so long a rotated file's last line will get no end any more.
LEFT_SECONDS = 60.0  # After so long without a change a rotated file is closed.
KEPT_POSITIONS = 20  # Of contents that are over, for each family,
MOST_POSITIONS = 2_000  # and of all families.
STEPS = 32  # After so many megabytes of one file it is the others' turn.


class Following:
    """All followed files of an agent; for one thread."""

    def __init__(
        self,
        patterns: tuple[str, ...],
        positions: Mapping[str, Any],
        intake: Intake,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._families = Families(patterns)
        self._known = {name: Position(**stored) for name, stored in positions.items()}
        self._known_families = {one.path for one in self._known.values()}
        self._intake, self._counts, self._clock = intake, counts, clock
        self._open: dict[tuple[int, int], OpenFile] = {}
        self._news: dict[str, dict[str, Any] | None] = {}  # To be stored with the next lines.
        self._is_first = True
        self._said: set[str] = set()  # What was complained of, and has not been well since.

    def run(self, stop: threading.Event, poll_seconds: float) -> None:
        """Follow until told to stop."""
        while not stop.is_set():
            try:
                has_read = self.poll(stop)
                self._counts.set(intake_paused=0)
                self._said.discard("full")
            except (SpoolFull, DeadLettersFull) as error:
                has_read = False
                self._counts.set(intake_paused=1)
                self._complain("full", f"the files are not read on for now: {error}")
            if not has_read:
                self._clock.wait(stop, poll_seconds)
        self.close()

    def poll(self, stop: threading.Event | None = None) -> bool:
        """Look at every file once and read what is new; whether there was anything.

        Raises SpoolFull and DeadLettersFull; what was not taken is read again.
        """
        paths = self._families.paths(self._known_families)
        listed = {path: list(self._families.members(path)) for path in paths}
        for path, members in listed.items():
            self._meet(path, members)
        self._note_gone({one.identity for members in listed.values() for one in members})
        self._is_first = False
        self._store()
        has_read = False
        for one in list(self._open.values()):
            try:
                has_read |= self._read(one, listed.get(one.position.path, []), stop)
            except OSError as error:
                # Its disk or its network share: the others are still read.
                self._complain(one.position.name, f"{one.position.path}: {error.strerror}")
        self._counts.set(unread_bytes=sum(one.unread() for one in self._open.values()))
        return has_read

    def close(self) -> None:
        """Let go of the files."""
        for one in self._open.values():
            os.close(one.descriptor)
        self._open.clear()

    # --- Which files --------------------------------------------------------------------------
    def _meet(self, path: str, members: list[Member]) -> None:
        """Open the members of a family that are new, or have grown since they were closed."""
        is_known = path in self._known_families
        self._known_families.add(path)
        for member in members:
            if member.identity in self._open:
                continue
            own = self._known.get(_name(path, member))
            if own and own.offset == member.size and member.path != path:
                continue
            if not is_known and self._is_first and member.path != path:
                # Rotated away before the agent was ever here: not ours to report.
                self._pass_over(path, member)
                continue
            age = time.time() - member.changed_at
            if own is None and member.path != path and 0 <= age < SETTLED_SECONDS:
                continue
            self._begin(path, member)

    def _begin(self, path: str, member: Member) -> None:
        """Open a file and find where its reading goes on."""
        try:
            descriptor = os.open(member.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self._complain(member.path, f"{member.path} cannot be read: {error.strerror}")
            return
        self._said.discard(member.path)
        found = os.fstat(descriptor)
        fresh = Position(path, found.st_dev, found.st_ino, 0, mark(b"", b""))
        if (fresh.device, fresh.inode) in self._open:
            os.close(descriptor)  # Renamed since the directory was listed.
            return
        mine = [one for one in self._known.values() if one.path == path]
        fit = best_fit(descriptor, mine)
        own = self._known.get(fresh.name)
        if own and own.offset and not own.fits(descriptor):
            self._note(replace(own, is_over=True))
        start = replace(fresh, offset=fit.offset, mark=fit.mark) if fit else fresh
        if start != own:
            self._note(start)
        now = self._clock.monotonic()
        self._open[start.device, start.inode] = OpenFile.at(descriptor, start, now)

    def _pass_over(self, path: str, member: Member) -> None:
        try:
            descriptor = os.open(member.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return
        seen = mark_of(descriptor, member.size)
        os.close(descriptor)
        self._note(Position(path, member.device, member.inode, member.size, seen))

    def _note_gone(self, listed: set[tuple[int, int]]) -> None:
        """Note which files are no longer there. What went while the agent was not running may
        have held unread lines: that is said."""
        for name, one in list(self._known.items()):
            identity = (one.device, one.inode)
            if one.is_over or identity in listed or identity in self._open:
                continue
            self._forget(name)
            if one.offset:
                self._note(replace(one, is_over=True))
            if self._is_first and one.offset:
                self._counts.add("vanished_files")
                log.warning(
                    "%s: a file that had been read to byte %d is gone", one.path, one.offset
                )

    # --- Reading ------------------------------------------------------------------------------
    def _read(self, one: OpenFile, members: list[Member], stop: threading.Event | None) -> bool:
        """Read a file on as far as it goes; whether there was anything."""
        here = next((m.path for m in members if m.identity == one.identity), "")
        is_left = here != one.position.path
        now = self._clock.monotonic()
        has_read = False
        if one.has_changed(now) or one.unread():
            if one.is_another():
                self._note(one.begin_again())
                self._note(one.position)
            to_the_end = is_left and now - one.changed_at >= ENDED_SECONDS
            for _ in range(STEPS):
                step = one.next_lines(to_the_end=to_the_end)
                if step is None or (stop is not None and stop.is_set()):
                    break
                # Only what is taken may be stored: another file's lines could carry it along.
                news = {**self._news, step.position.name: step.position.stored()}
                self._intake.take(step.records, by=INPUT, live=False, positions=news)
                one.move(step)
                self._known[step.position.name] = step.position
                self._news = {}
                has_read = True
        if is_left and not has_read and now - one.changed_at >= LEFT_SECONDS:
            self._leave(one, is_gone=not here)
        return has_read

    def _leave(self, one: OpenFile, *, is_gone: bool) -> None:
        """Close a file that was rotated away and has not changed for long."""
        os.close(self._open.pop(one.identity).descriptor)
        if is_gone:
            self._forget(one.position.name)
            self._note(replace(one.position, is_over=True))
        self._store()

    def _note(self, position: Position) -> None:
        """Know a position, and store it with the next lines."""
        self._known[position.name] = position
        self._news[position.name] = position.stored()
        over = [
            name for name, one in self._known.items() if one.is_over and one.path == position.path
        ]
        all_over = [name for name, one in self._known.items() if one.is_over]
        for name in {*over[:-KEPT_POSITIONS], *all_over[:-MOST_POSITIONS]}:
            self._forget(name)

    def _complain(self, about: str, words: str) -> None:
        """Say it once, not at each look."""
        if about not in self._said:
            self._said.add(about)
            log.warning("%s", words)

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._news[name] = None

    def _store(self) -> None:
        if self._news:
            self._intake.take([], by=INPUT, live=False, positions=self._news)
            self._news = {}


def _name(path: str, member: Member) -> str:
    return Position(path, member.device, member.inode, 0, "").name
