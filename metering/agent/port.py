"""The local HTTP port: records come in, and what the agent has to tell is read.

A 2xx answer leaves once the events are durably in the spool. A full spool answers 503 with
`Retry-After` before anything was taken. The port is for the machine it runs on: it asks nobody for
a key.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLettersFull
from metering.agent.intake import Arrived, Intake, Taken, anchor
from metering.agent.spool import SpoolBroken, SpoolFull

log = logging.getLogger("metering.agent")
INPUT = "http"
LARGEST_BODY = 16 * 2**20
MOST_CONNECTIONS = 64
IDLE_SECONDS = 30.0
RETRY_SECONDS = 5
OTLP_PATHS = ("/v1/traces", "/v1/logs")
PATHS = ("/", "/events", "/api/v1/usage", *OTLP_PATHS)


class NoRecords(Exception):
    """A body that holds no records; `status` is the answer to it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Port(ThreadingHTTPServer):
    """One listening address. Without an intake it only tells."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        place: tuple[str, int],
        counts: Counts,
        totals: Callable[[], list[dict[str, Any]]],
        intake: Intake | None = None,
    ) -> None:
        self.counts, self.totals, self.intake = counts, totals, intake
        self.closing = False
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._at_work, self._quiet = 0, threading.Condition()
        super().__init__(place, Conversation)

    @property
    def place(self) -> tuple[str, int]:
        """The host and the port that it came to listen on."""
        host, port = self.server_address[:2]
        return str(host), port

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, up to a limit; more are turned away unread."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        _turn_away(request)
        self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is its own business."""
        log.debug("a caller's connection broke", exc_info=True)

    def at_work(self, by: int) -> None:
        """Count the requests that are being taken in."""
        with self._quiet:
            self._at_work += by
            self._quiet.notify_all()

    def stop(self, seconds: float) -> None:
        """Take no more, and let what is being taken in come to its end."""
        self.closing = True
        self.shutdown()
        with self._quiet:
            self._quiet.wait_for(lambda: not self._at_work, seconds)
        self.server_close()


class Conversation(BaseHTTPRequestHandler):
    """One connection."""

    server: Port
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server_version, sys_version = "metering-agent", ""

    def do_GET(self) -> None:
        """What the agent tells."""
        state = self.server.counts.state()
        if self.path == "/healthz":
            is_sound = state.get("state") not in ("broken", "stopping")
            self._answer(200 if is_sound else 503, {"state": state["state"]})
        elif self.path == "/metrics":
            text = self.server.counts.prometheus().encode()
            self._send(200, text, "text/plain; version=0.0.4; charset=utf-8")
        elif self.path == "/state":
            self._answer(200, state)
        elif self.path == "/totals":
            self._answer(200, {"results": self.server.totals()})
        else:
            self._answer(404, {"detail": "there is nothing here"})

    def do_POST(self) -> None:
        """Records: one as JSON, an array, or JSON lines; plain or gzip."""
        self.server.at_work(1)
        try:
            self._post()
        finally:
            self.server.at_work(-1)

    def _post(self) -> None:
        path = self.path.partition("?")[0]
        try:
            if self.server.intake is None or path not in PATHS:
                raise NoRecords(404, "no records are taken here")
            body = self._body()
            if self.server.closing:
                raise SpoolFull("the agent is stopping")
            records = list(self._records(body))
            taken = self.server.intake.take(records, by=INPUT, live=True)
        except NoRecords as error:
            self.close_connection = True  # The body may not have been read.
            self._answer(error.status, {"detail": str(error)})
        except (SpoolFull, DeadLettersFull) as error:
            self.server.counts.set(intake_paused=1)
            self._answer(503, {"detail": str(error)}, {"Retry-After": str(RETRY_SECONDS)})
        except SpoolBroken as error:
            self.server.counts.say(state="broken", problem=str(error))
            self._answer(500, {"detail": str(error)})
        else:
            self.server.counts.set(intake_paused=0)
            self._answer_taken(taken, path)

    def _answer_taken(self, taken: Taken, path: str) -> None:
        if path in OTLP_PATHS:
            # OTLP's word for it: 200, and how many were rejected. They are in the dead letters.
            rejected = {"rejectedSpans": len(taken.refused)} if taken.refused else {}
            self._answer(200, {"partialSuccess": rejected} if rejected else {})
            return
        refused = [{"index": i, "code": code, "detail": why} for i, code, why in taken.refused]
        some = taken.accepted or taken.passed_over
        status = (207 if some else 422) if refused else 200
        told = {"accepted": taken.accepted, "passed_over": taken.passed_over, "refused": refused}
        self._answer(status, told)

    def _body(self) -> bytes:
        """The body, unpacked. Raises NoRecords."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or "Transfer-Encoding" in self.headers:
            raise NoRecords(411, "a Content-Length is needed")
        if int(length) > LARGEST_BODY:
            raise NoRecords(413, f"at most {LARGEST_BODY} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise NoRecords(400, "the body broke off")
        encoding = self.headers.get("Content-Encoding", "").strip().lower()
        if encoding in ("", "identity"):
            return body
        if encoding != "gzip":
            raise NoRecords(415, "gzip is the only encoding known here")
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = unpacker.decompress(body, LARGEST_BODY + 1)
        except zlib.error as error:
            raise NoRecords(400, "the body is not gzip") from error
        if len(body) > LARGEST_BODY:
            raise NoRecords(413, f"at most {LARGEST_BODY} bytes unpacked")
        if not unpacker.eof:
            raise NoRecords(400, "the gzip stream is cut short")
        return body

    def _records(self, body: bytes) -> Iterator[Arrived]:
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind.endswith("protobuf"):
            raise NoRecords(415, "OTLP is taken as JSON: set the exporter's protocol to http/json")
        headers = {name.lower(): value for name, value in self.headers.items()}
        once = headers.get("idempotency-key", "")
        for number, text in enumerate(_split(body, kind)):
            # What tells two like records apart is the caller's word that they are two requests.
            yield Arrived(text, anchor("http", once, number, text) if once else "", headers)

    def _answer(self, status: int, told: Any, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(told).encode(), "application/json", headers)

    def _send(
        self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        shared = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in {**shared, **(headers or {})}.items():
            self.send_header(name, value)
        if self.close_connection or self.server.closing:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: a line for each request says nothing that the counts do not."""


def _split(body: bytes, kind: str) -> Iterator[bytes]:
    """The records of a body as text."""
    if kind.endswith(("x-ndjson", "jsonl", "json-lines", "x-jsonlines")):
        yield from (line.strip() for line in body.split(b"\n") if line.strip())
        return
    if body.lstrip()[:1] != b"[":
        yield body.strip()
        return
    try:
        array = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoRecords(400, "the body is no JSON") from error
    for one in array:
        yield json.dumps(one).encode()


def _turn_away(connection: socket) -> None:
    connection.settimeout(1.0)
    try:
        connection.sendall(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n"
        )
    except OSError:
        log.debug("a caller went away before it was turned away")
