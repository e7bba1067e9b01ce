"""One request to the service and its answer, whole, or a reason to ask again.

Owns the connection: kept alive, opened anew after any fault, with a time limit on each step and on
the whole. Redirects are not followed: a key must not travel to where nobody meant it to go.
"""

from __future__ import annotations

import gzip
import http.client
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

LARGEST_ANSWER = 32 * 2**20
LONGEST_RETRY_AFTER = 3600.0
PATH = "/api/v1/usage"


class Unanswered(Exception):
    """No whole answer came; whether the service has taken the events is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `retry_after` in seconds, 0 if it does not say."""

    status: int
    body: bytes
    is_json: bool
    retry_after: float


class Client:
    """Posts to the usage route, or to one `beneath` it; for one thread."""

    def __init__(self, server: str, timeout_seconds: float, beneath: str = "") -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "", parts.port
        self._is_tls = parts.scheme == "https"
        self._path = parts.path.rstrip("/")
        if not self._path.endswith(PATH):
            self._path += PATH
        self._path += beneath
        self._timeout = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, key: str, now: float) -> Answer:
        """Send a batch of events, compressed. Raises Unanswered."""
        headers = {
            "Content-Type": "application/cloudevents-batch+json", "Content-Encoding": "gzip",
        }  # fmt: skip
        # mtime 0: the same batch is the same bytes when it is sent again.
        return self._send(gzip.compress(body, 5, mtime=0), key, now, headers)

    def post_json(self, body: bytes, key: str, now: float) -> Answer:
        """Send JSON as it is. Raises Unanswered."""
        return self._send(body, key, now, {"Content-Type": "application/json"})

    def _send(self, body: bytes, key: str, now: float, headers: dict[str, str]) -> Answer:
        shared = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json",
            "User-Agent": "metering-agent",
        }
        try:
            response, content = self._exchange(body, {**shared, **headers})
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        if response.will_close:
            self.close()
        kind = response.headers.get("Content-Type", "")
        after = retry_after(response.headers.get("Retry-After", ""), now)
        return Answer(response.status, content, "json" in kind, after)

    def close(self) -> None:
        """Drop the connection; the next request opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request, on the connection of the last one if that is still open."""
        if self._connection is not None:
            try:
                return self._ask(self._connection, body, headers)
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()  # The service has closed an idle connection: no failure yet.
        self._connection = self._connect()
        return self._ask(self._connection, body, headers)

    def _ask(
        self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection.request("POST", self._path, body, headers)
        response = connection.getresponse()
        return response, self._whole(response)

    def _connect(self) -> http.client.HTTPConnection:
        if self._is_tls:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _whole(self, response: http.client.HTTPResponse) -> bytes:
        """The answer's body. Raises HTTPException if it breaks off or never ends."""
        deadline = time.monotonic() + self._timeout
        parts, size = [], 0
        expected = response.length  # None where the answer is chunked or ends with the connection.
        while part := response.read1(65_536):
            parts.append(part)
            size += len(part)
            if size > LARGEST_ANSWER or time.monotonic() > deadline:
                raise http.client.HTTPException("the answer does not end")
        if expected is not None and size < expected:
            raise http.client.IncompleteRead(b"".join(parts), expected - size)
        response.close()  # read1 leaves it open, and then the connection takes no next request.
        return b"".join(parts)


def retry_after(text: str, now: float) -> float:
    """Retry-After in seconds from now: given as seconds or as an HTTP date; 0 if it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    return min(max(0.0, at - now), LONGEST_RETRY_AFTER)
