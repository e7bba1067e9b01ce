"""An HTTP client that costs next to nothing: kept-alive sockets, bodies made beforehand.

Client, server and PostgreSQL share two cores here, so what the client takes is taken from them.
"""

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Posted:
    """What came of some requests: seconds from the first to the last, and the answers summed up."""

    seconds: float = 0.0
    requests: int = 0
    accepted: int = 0
    duplicates: int = 0
    unexpected: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as whom to post."""

    port: int
    key: str
    path: str = "/api/v1/usage"


class _Connection:
    def __init__(self, target: Target) -> None:
        self._socket = socket.create_connection(("127.0.0.1", target.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST {target.path} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
            f"Authorization: Bearer {target.key}\r\nContent-Type: application/json\r\n"
            "Content-Length: "
        ).encode()
        self._read = self._socket.makefile("rb")

    def post(self, body: bytes) -> tuple[int, Any]:
        self._socket.sendall(b"%s%d\r\n\r\n%s" % (self._head, len(body), body))
        status = int(self._read.readline().split()[1])
        length = 0
        while (line := self._read.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return status, json.loads(self._read.read(length))

    def close(self) -> None:
        self._read.close()
        self._socket.close()


def post(target: Target, bodies: Iterable[bytes], *, connections: int = 32) -> Posted:
    """Post every body over a few connections at once."""
    posted = Posted()
    waiting: Iterator[bytes] = iter(bodies)
    lock = threading.Lock()

    def run() -> None:
        connection = _Connection(target)
        try:
            while True:
                with lock:
                    body = next(waiting, None)
                if body is None:
                    return
                status, answer = connection.post(body)
                with lock:
                    posted.requests += 1
                    posted.accepted += answer.get("accepted", 0)
                    posted.duplicates += answer.get("duplicates", 0)
                    if status != 200:
                        posted.unexpected.append(f"{status}: {str(answer)[:300]}")
        except OSError as error:
            posted.unexpected.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(connections)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    posted.seconds = time.perf_counter() - begun
    return posted
