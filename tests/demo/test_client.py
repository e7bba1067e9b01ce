"""The demo's REST client against a server that closes connections, idle or in mid-request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.demo.client import ApiClient

IDLE_SECONDS = 0.2


class ImpatientServer(ThreadingHTTPServer):
    """Closes connections that are idle for a moment; does not answer what is posted to /dropped."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.heard: list[str] = []
        self.has_closed_one = threading.Event()

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.has_closed_one.set()


class Conversation(BaseHTTPRequestHandler):
    server: ImpatientServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(self.path)
        if self.path.endswith("/dropped"):
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[ImpatientServer]:
    with ImpatientServer() as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def api(server: ImpatientServer) -> ApiClient:
    return ApiClient(f"http://127.0.0.1:{server.server_address[1]}")


def test_a_post_finds_its_idle_connection_closed(server: ImpatientServer, api: ApiClient) -> None:
    api.post("/usage")
    assert server.has_closed_one.wait(20)
    api.post("/usage", ["x" * 1_000_000])
    assert server.heard == ["/api/v1/usage"] * 2
    assert api.retries == 0


def test_a_post_that_was_heard_is_not_sent_again(server: ImpatientServer, api: ApiClient) -> None:
    api.post("/usage")
    with pytest.raises(OSError, match="was not answered"):
        api.post("/dropped")
    assert server.heard == ["/api/v1/usage", "/api/v1/dropped"]
