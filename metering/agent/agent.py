"""The agent as a whole: its state directory, its threads, and how they begin and end.

Inputs (following.py, standard_input.py, port.py) take in through intake.py; delivery.py sends.
Stopping goes in their order: no more reading, what is in hand to the spool, one last delivery.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack

from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.cross_check import CrossCheck
from metering.agent.dead_letters import DeadLetters
from metering.agent.delivered import Delivered
from metering.agent.delivery import Delivery
from metering.agent.following import Following
from metering.agent.intake import Intake
from metering.agent.port import Port
from metering.agent.settings import BadSettings, Settings, address
from metering.agent.spool import Spool, SpoolBroken
from metering.agent.standard_input import StandardInput

log = logging.getLogger("metering.agent")
STATE_FILE, LETTERS_FILE, LOCK_FILE = "state.json", "dead-letters.jsonl", "lock"
TICK_SECONDS = 0.2
STATE_SECONDS = 1.0


class Agent:
    """One agent on one state directory, which it holds alone."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Raises BadSettings, also where another agent is running on the state directory."""
        self._settings, self._clock = settings, clock or Clock()
        self.stop = threading.Event()
        self.counts = Counts()
        self._broken: list[str] = []
        home = settings.state_dir
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _alone(home / LOCK_FILE)
        self.letters = DeadLetters(home / LETTERS_FILE, most_bytes=settings.dead_letter_bytes)
        self.delivered = Delivered(home / "delivered.log")
        drawn = f"{settings.rules.source.default[:150]}/{secrets.token_hex(4)}"
        self.delivered.be_known(settings.name, drawn.lstrip("/"), self._clock.now())
        self.spool = Spool(
            home / "spool",
            most_bytes=settings.spool_bytes,
            segment_bytes=settings.segment_bytes,
            clock=self._clock,
        )
        waiting = self.spool.count_after(self.delivered.place)
        self.counts.set(undelivered_events=waiting)
        self.intake = Intake(settings.rules, self.spool, self.letters, self.counts, self._clock)
        self.delivery = Delivery(
            settings, self.spool, self.delivered, self.letters, self.counts, self._clock
        )
        self.ports: list[Port] = []
        if waiting:
            log.info("%d events of before wait in the spool", waiting)

    def run(self) -> int:
        """Run until told to stop, or until standard input has ended and is delivered; the exit
        status."""
        settings, inputs = self._settings, list[threading.Thread]()
        standard_input: StandardInput | None = None
        with ExitStack() as resources:
            self._open_ports(resources)
            if settings.files:
                following = Following(
                    settings.files, self.spool.positions, self.intake, self.counts, self._clock
                )
                inputs.append(
                    self._thread("files", lambda: following.run(self.stop, settings.poll_seconds))
                )
            if settings.stdin:
                standard_input = StandardInput(
                    sys.stdin.fileno(), self.intake, self.counts, self._clock
                )
                inputs.append(self._thread("stdin", lambda: standard_input.run(self.stop)))
            sender = self._thread("delivery", self.delivery.run)
            if settings.cross_check:
                check = CrossCheck(settings, self.delivered, self.counts, self._clock)
                self._thread("cross-check", lambda: check.run(self.stop))
            # Where nothing but standard input can bring more, its end is the end.
            is_pipe = standard_input and not settings.files and not settings.listen
            self._watch(standard_input.ended if standard_input and is_pipe else None)
            self._end(inputs, sender)
        return 1 if self._broken else 0

    def close(self) -> None:
        """Let go of the state directory."""
        self.delivery.close()
        self.delivered.close()
        self.spool.close()
        os.close(self._lock)

    def _open_ports(self, resources: ExitStack) -> None:
        for place, intake in ((self._settings.listen, self.intake), (self._settings.status, None)):
            if not place:
                continue
            try:
                port = Port(address(place), self.counts, self.delivered.rows, intake)
            except OSError as error:
                raise BadSettings(f"{place} cannot be listened on: {error.strerror}") from error
            resources.callback(port.server_close)
            self.ports.append(port)
            self._thread("port", port.serve_forever)
            log.info("listening on %s:%d", *port.place)

    def _watch(self, ended: threading.Event | None) -> None:
        """Keep the state file until there is nothing left to wait for."""
        next_at = 0.0
        while not self.stop.wait(TICK_SECONDS):
            if self.counts.state().get("state") == "broken":
                self._broken.append("an input")
                return
            now = self._clock.monotonic()
            if now >= next_at:
                self._tell()
                next_at = now + STATE_SECONDS
            if ended and ended.is_set() and not self.counts.gauge("undelivered_events"):
                return

    def _end(self, inputs: list[threading.Thread], sender: threading.Thread) -> None:
        """Stop reading; then deliver what is left, once, within the limit."""
        settings = self._settings
        deadline = self._clock.monotonic() + settings.stop_seconds
        self.stop.set()
        self.counts.say(state="stopping")
        for port in self.ports:
            port.stop(settings.stop_seconds / 2)
        for thread in inputs:
            thread.join(settings.stop_seconds)
        self.delivery.no_more.set()
        self.delivery.stop.set()
        self.spool.appended.set()
        sender.join(settings.stop_seconds)
        is_empty = False
        if not sender.is_alive() and not self._broken:
            is_empty = self.delivery.drain(deadline)
        self.counts.say(state="stopped")
        self._tell()
        left = int(self.counts.gauge("undelivered_events"))
        log.info("stopped; %s", "all is delivered" if is_empty else f"{left} events wait on disk")

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                work()
            except SpoolBroken as error:
                self._break(name, str(error))
            except Exception as error:
                log.exception("%s has failed", name)
                self._break(name, f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _break(self, name: str, problem: str) -> None:
        """End: a new start finds out from the disk what is safe."""
        log.error("%s: %s; ending", name, problem)
        self._broken.append(problem)
        self.counts.say(state="broken", problem=problem)
        self.stop.set()

    def _tell(self) -> None:
        """Measure, and write the state file."""
        oldest = self.delivery.oldest_at
        self.counts.set(
            oldest_undelivered_seconds=max(0.0, self._clock.now() - oldest) if oldest else 0.0,
            spool_bytes=self.spool.bytes_held,
        )
        try:
            self.counts.write(self._settings.state_dir / STATE_FILE)
        except OSError as error:
            log.warning("the state cannot be written: %s", error.strerror)


def _alone(path: os.PathLike[str]) -> int:
    """Hold the lock of a state directory; the kernel lets go of it if we die."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadSettings(f"another agent is running on {path}") from None
    return descriptor
