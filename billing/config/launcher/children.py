"""The child processes of a local service: started, watched, started again, and never left behind.

Each child leads a process group of its own, so that Ctrl-C in the terminal reaches only us (we
stop them in order) and so that a dead child's own children can be swept up. On Linux the kernel
ends the children if we are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
SOUND_SECONDS = 30.0  # A child that lived this long starts again without a pause.
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def say(message: str) -> None:
    """To the terminal's error stream; `ready` alone goes to standard output."""
    sys.stderr.write(f"ledger: {message}\n")
    sys.stderr.flush()


def _end_with_parent() -> None:
    """Between fork and exec: ask the kernel for SIGTERM when the parent dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def spawn(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a module of ours or Python's. What it logs goes to our error stream; what it prints
    goes nowhere, for a stray `ready` of a child would be taken for ours."""
    return subprocess.Popen(  # noqa: S603 - our own command lines, no shell
        [sys.executable, *command], cwd=ROOT, env={**os.environ, **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=_end_with_parent,
    )  # fmt: skip


def run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run to the end; raises CalledProcessError. Leaves nothing behind if we are interrupted."""
    child = spawn(command, environment)
    try:
        status = child.wait()
    finally:
        ask_to_end(child)
        end_group(child, 10)
    if status:
        raise subprocess.CalledProcessError(status, ["python", *command])


def ask_to_end(child: subprocess.Popen[bytes]) -> None:
    """SIGTERM, once: a second one makes some programs drop their work."""
    if child.poll() is None:
        child.terminate()


def end_group(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for a child that was asked to end, then SIGKILL whatever its group still has."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@dataclass
class Child:
    """One part of the service that is kept alive."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    stop_seconds: float = 20.0
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    pause: float = FIRST_PAUSE
    start_again_at: float | None = field(default=None)

    @property
    def is_hopeless(self) -> bool:
        """It has died at least four times in a row, each time soon after its start."""
        return self.pause >= FIRST_PAUSE * 2**4

    def start(self) -> None:
        self.process = spawn(self.command, self.environment)
        self.started_at = time.monotonic()
        self.start_again_at = None

    def keep_alive(self) -> None:
        """Start a dead child again, after a pause that doubles while it keeps dying."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.start_again_at is None:
            if now - self.started_at > SOUND_SECONDS:
                self.pause = FIRST_PAUSE
            say(f"{self.name} died ({_ending(self.process)}); again in {self.pause:g} s")
            end_group(self.process, 0)  # What it started must not work beside its successor.
            self.start_again_at = now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if now >= self.start_again_at:
            self.start()


def _ending(process: subprocess.Popen[bytes]) -> str:
    status = process.returncode
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def stop_together(children: Sequence[Child]) -> None:
    """Ask all of them at once, so that the slowest decides how long it takes; then wait."""
    alive = [(child.process, child.stop_seconds) for child in children if child.process]
    for process, _ in alive:
        ask_to_end(process)
    for process, seconds in alive:
        end_group(process, seconds)
