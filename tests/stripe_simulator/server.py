"""HTTP on a socket: threads, keep-alive, closed connections. What is answered is `service`'s."""

from __future__ import annotations

import json
import logging
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from .control import Control
from .service import Answer, Request, Service

logger = logging.getLogger("stripe_simulator")
CONTROL = "/_control/"
MAX_BODY = 4 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """A listening socket that hands every request to the service or to the controls."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, service: Service, control: Control) -> None:
        self.service, self.control = service, control
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of ours."""
        logger.debug("connection from %s ended early", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """Reads one request, writes one answer, keeps the connection."""

    protocol_version = "HTTP/1.1"
    server_version = "stripe-simulator"
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 120
    server: Server

    def do_GET(self) -> None:
        """GET."""
        self._serve()

    def do_POST(self) -> None:
        """POST."""
        self._serve()

    def do_DELETE(self) -> None:
        """DELETE."""
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        length = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
        body = self.rfile.read(length).decode() if length else ""
        if path.startswith(CONTROL):
            status, reply = self.server.control.answer(self.command, path[len(CONTROL) :], body)
            self._write(Answer(status, json.dumps(reply)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, parts.query, body, headers)
        answer = self.server.service.answer(request)
        if answer.status is None:
            self._hang_up()
        else:
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        payload = answer.body.encode()
        self.send_response(answer.status or 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()

    def _hang_up(self) -> None:
        """Close the connection without an answer."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are logged by the service."""
