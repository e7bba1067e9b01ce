"""Standard input as a stream of JSON lines.

What has been read cannot be read again, so a line waits here until the spool takes it: a full spool
holds up whoever writes to the pipe.
"""

from __future__ import annotations

import logging
import os
import select
import threading

from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLettersFull
from metering.agent.intake import Arrived, Intake, anchor
from metering.agent.spool import SpoolFull

log = logging.getLogger("metering.agent")
INPUT = "stdin"
READ_BYTES = 2**16
LONGEST_LINE = 2**20
LOOK_SECONDS = 0.2


class StandardInput:
    """Reads a descriptor to its end; for one thread."""

    def __init__(self, descriptor: int, intake: Intake, counts: Counts, clock: Clock) -> None:
        self._descriptor, self._intake = descriptor, intake
        self._counts, self._clock = counts, clock
        self._rest = b""
        self._number = 0
        self.ended = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Read until the end, or until told to stop; what was read by then is taken in."""
        while not stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if not ready:
                continue
            content = os.read(self._descriptor, READ_BYTES)
            if not content:
                break
            *whole, self._rest = (self._rest + content).split(b"\n")
            if len(self._rest) > LONGEST_LINE:  # Goes to the dead letters, in pieces.
                whole, self._rest = [*whole, self._rest], b""
            self._take(whole, stop)
        self._take([self._rest] if self._rest.strip() else [], stop)
        self._rest = b""
        self.ended.set()

    def _take(self, lines: list[bytes], stop: threading.Event) -> None:
        records = []
        for line in lines:
            self._number += 1
            if text := line.strip():
                records.append(Arrived(text, anchor("stdin", self._number, text)))
        while records:
            try:
                self._intake.take(records, by=INPUT, live=True)
            except (SpoolFull, DeadLettersFull) as error:
                if not self._counts.gauge("intake_paused"):
                    log.warning("standard input waits: %s", error)
                self._counts.set(intake_paused=1)
                if stop.is_set():
                    # They cannot be read again, so they go where a person finds them.
                    why = "the agent was stopped while its spool was full"
                    self._intake.set_aside(records, by=INPUT, code="no_room", detail=why)
                    return
                self._clock.wait(stop, 1.0)
            else:
                self._counts.set(intake_paused=0)
                return
