"""A service of the usage route's shape, for the faults that the real one never commits on demand.

It keeps what it accepts by (subject, source, id), as the real one does. `replies` holds what it
does with the next requests; without any it accepts.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Event = dict[str, Any]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Reply:
    """An answer to one request. `accepts`: the events are kept all the same. `sent_bytes`: only so
    much of the body leaves before the connection is cut; -1 for nothing at all, head included."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    accepts: bool = False
    sent_bytes: int | None = None
    seconds: float = 0.0


def problem(status: int, code: str, **options: Any) -> Reply:
    """A problem document, as the service writes them."""
    return Reply(status, {"type": "about:blank", "status": status, "code": code}, **options)


def agreed(told: dict[str, Any], *differences: dict[str, Any]) -> Reply:
    """An answer to a cross-check; nothing differs unless it is given."""
    return Reply(200, {"checked": len(told["totals"]), "differences": list(differences)})


class FakeService(ThreadingHTTPServer):
    """Listens on the loopback until closed."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Conversation)
        self.events: dict[Key, Event] = {}
        self.replies: deque[Reply] = deque()
        self.judge: Callable[[list[Event]], Reply | None] = lambda events: None
        self.refuse: Callable[[Event], tuple[str, str] | None] = lambda event: None
        self.told: list[dict[str, Any]] = []  # Bodies of cross-checks.
        self.compare: Callable[[dict[str, Any]], Reply] = agreed
        self.batches: list[list[Event]] = []
        self.headers: list[dict[str, str]] = []
        self.asked_at: list[float] = []
        self.connections = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def accept(self, events: list[Event]) -> Reply:
        """Keep what is right, and say so as the real service does."""
        accepted = duplicates = 0
        refused = []
        for index, event in enumerate(events):
            why = self.refuse(event)
            if why:
                refused.append(
                    {"index": index, "id": event["id"], "code": why[0], "detail": why[1]}
                )
                continue
            key = (event["subject"], event["source"], event["id"])
            duplicates += key in self.events
            accepted += key not in self.events
            self.events.setdefault(key, event)
        told = {"accepted": accepted, "duplicates": duplicates, "unrated": 0, "refused": refused}
        status = (207 if accepted or duplicates else 422) if refused else 200
        return Reply(status, told)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers are killed on purpose."""


class Conversation(BaseHTTPRequestHandler):
    server: FakeService
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/cross-checks"):
            told = json.loads(content)
            self.server.told.append(told)
            self._send(self.server.compare(told))
            return
        events = json.loads(gzip.decompress(content))
        with self.server.lock:
            self.server.batches.append(events)
            self.server.headers.append(dict(self.headers))
            self.server.asked_at.append(time.monotonic())
            reply = self.server.replies.popleft() if self.server.replies else None
            reply = reply or self.server.judge(events)
            if reply is None or reply.accepts:
                answer = self.server.accept(events)
                reply = reply or answer
                if reply.body is None and reply.status < 300:
                    reply = Reply(**{**vars(reply), "body": answer.body})
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        time.sleep(reply.seconds)
        is_text = isinstance(reply.body, str)
        body = reply.body.encode() if is_text else json.dumps(reply.body or {}).encode()
        if reply.sent_bytes == -1:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if reply.sent_bytes is None else body[: reply.sent_bytes])
        if reply.sent_bytes is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@contextmanager
def a_service(port: int = 0) -> Iterator[FakeService]:
    """One that runs for as long as the block."""
    service = FakeService(port)
    thread = threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        thread.join()
        service.server_close()
