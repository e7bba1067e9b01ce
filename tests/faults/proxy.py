"""A TCP proxy that does to connections what networks do: cuts, delays, half answers, resets.

Each connection draws its fate when it is opened. What the proxy sends on is never altered: TCP has
checksums, and TLS has better ones.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections import Counter

CHUNK = 16_384
IDLE_SECONDS = 30.0
# How often each fate is drawn among the ill ones. What each does is said in `_Link`.
FATES = {
    "request_cut": 3, "answer_lost": 4, "answer_cut": 4, "reset": 3, "delayed": 2, "dripping": 2,
    "refused": 2, "ended": 6,
}  # fmt: skip


class Proxy:
    """Listens on the loopback; `ill` is the share of connections that something happens to."""

    def __init__(self, upstream: tuple[str, int], *, ill: float, seed: int, port: int = 0) -> None:
        self.upstream, self.ill = upstream, ill
        self.fates: Counter[str] = Counter()
        self._rng = random.Random(seed)  # noqa: S311 - a network's whims
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more; connections under way come to their own ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                is_ill = self._rng.random() < self.ill
                names, weights = list(FATES), list(FATES.values())
                fate = self._rng.choices(names, weights)[0] if is_ill else "whole"
                link = _Link(caller, fate, self._rng.random(), self._rng.random())
                self.fates[fate] += 1
            threading.Thread(target=link.live, args=(self.upstream,), daemon=True).start()


class _Link:
    """One connection and its fate; `much` and `late` in [0, 1) say how far it gets."""

    def __init__(self, caller: socket.socket, fate: str, much: float, late: float) -> None:
        self._caller, self._fate = caller, fate
        # A connection carries several requests, so a fate may wait for a later one.
        self._up_bytes = int(40 * 1000 ** (much * 1.3)) if fate == "request_cut" else -1
        self._down_bytes = {
            "answer_lost": int(late * 3) * 420,  # Whole answers are about that long.
            "answer_cut": int(late * 3) * 420 + 1 + int(much * 400),
        }.get(fate, -1)
        self._seconds = {
            "delayed": 0.2 + 2 * late, "reset": 0.01 + late * 1.5, "ended": 0.2 + late * 2,
        }.get(fate, 0.0)  # fmt: skip

    def live(self, upstream: tuple[str, int]) -> None:
        """From the first byte to whatever end."""
        if self._fate == "refused":
            _reset(self._caller)
            return
        try:
            service = socket.create_connection(upstream, timeout=5)
        except OSError:
            _reset(self._caller)
            return
        for one in (self._caller, service):
            one.settimeout(IDLE_SECONDS)
        if self._fate == "reset":
            threading.Timer(self._seconds, _reset_both, (self._caller, service)).start()
        if self._fate == "ended":
            threading.Timer(self._seconds, _cut, (self._caller, service)).start()
        back = threading.Thread(
            target=self._carry, args=(service, self._caller, False), daemon=True
        )
        back.start()
        self._carry(self._caller, service, True)
        back.join(IDLE_SECONDS)
        for one in (self._caller, service):
            with contextlib.suppress(OSError):
                one.close()

    def _carry(self, source: socket.socket, to: socket.socket, is_up: bool) -> None:
        left = self._up_bytes if is_up else self._down_bytes
        try:
            while content := source.recv(CHUNK):
                if 0 <= left <= len(content):
                    to.sendall(content[:left])
                    _cut(source, to)
                    return
                left -= len(content) if left >= 0 else 0
                if self._fate == "delayed":
                    time.sleep(self._seconds)
                self._pass_on(to, content)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            _cut(source, to)

    def _pass_on(self, to: socket.socket, content: bytes) -> None:
        if self._fate != "dripping":
            to.sendall(content)
            return
        for start in range(0, len(content), 512):
            to.sendall(content[start : start + 512])
            time.sleep(0.01)


def _cut(*both: socket.socket) -> None:
    for one in both:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _reset_both(*both: socket.socket) -> None:
    for one in both:
        _reset(one)


def _reset(connection: socket.socket) -> None:
    """Close with RST, as a crashed machine's successor does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
