"""A REST client of the service: one connection, one key, JSON in and out, and nothing else.

Only the standard library, so that whoever integrates an agent can read all there is to it.
"""

from __future__ import annotations

import http.client
import json
import select
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 120.0  # A jump of the sandbox clock runs the jobs of weeks.
ATTEMPTS = 8
LONGEST_PAUSE = 8.0


class ApiProblem(Exception):
    """An answer that is not 2xx: an RFC 9457 problem document."""

    def __init__(self, status: int, problem: Any) -> None:
        self.status, self.problem = status, problem
        told = problem if isinstance(problem, dict) else {}
        self.code = str(told.get("code", ""))
        self.detail = str(told.get("detail", problem))
        super().__init__(f"{status} {self.code}: {self.detail}")


class ApiClient:
    """Speaks to the service with one API key."""

    def __init__(self, base_url: str, key: str = "") -> None:
        parts = urlsplit(base_url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT_SECONDS
        )
        self._key = key
        self.retries = 0

    def get(self, path: str) -> Any:
        """The JSON at a path below /api/v1 (or at a whole path, as `next` gives it)."""
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None, *, once: str = "") -> Any:
        """Post JSON. `once` is the Idempotency-Key: with it a lost answer is asked for again."""
        headers = {"Idempotency-Key": once} if once else {}
        return self.ask("POST", path, json.dumps(body or {}).encode(), headers, again=bool(once))

    def listed(self, path: str) -> Iterator[Any]:
        """Every row of a list, page after page."""
        following: str | None = path
        while following:
            page = self.get(following)
            yield from page["results"]
            following = page.get("next")

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        again: bool = True,
    ) -> Any:
        """One request; with `again` repeated, the same bytes, until it is answered.

        Raises ApiProblem for any answer but 2xx, OSError where there is none to be had.
        """
        for attempt in range(1, ATTEMPTS + 1):
            pause = min(LONGEST_PAUSE, 0.1 * 2**attempt)
            try:
                status, answer, retry_after = self.exchange(method, path, body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()  # The next request opens it anew.
                if not again or attempt == ATTEMPTS:
                    raise OSError(f"{method} {path} was not answered: {error!r}") from error
            else:
                if 200 <= status < 300:
                    return answer
                if not again or attempt == ATTEMPTS or (status < 500 and status != 429):
                    raise ApiProblem(status, answer)
                pause = max(pause, retry_after)
            self.retries += 1
            time.sleep(pause)
        raise AssertionError("unreachable")

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any, float]:
        """One request and its answer as they are: (status, JSON or text, Retry-After)."""
        parts = urlsplit(path)
        target = parts.path if parts.path.startswith("/api/") else f"/api/v1{parts.path}"
        sent = {"Accept": "application/json", **(headers or {})}
        if self._key:
            sent["Authorization"] = f"Bearer {self._key}"
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if self._has_been_left():
            self._connection.close()
        self._connection.request(
            method, f"{target}?{parts.query}" if parts.query else target, body, sent
        )
        response = self._connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        retry_after = response.headers.get("Retry-After", "0")
        return (
            response.status,
            json.loads(text) if "json" in response.headers.get("Content-Type", "") else text,
            float(retry_after) if retry_after.isdigit() else 0.0,
        )

    def _has_been_left(self) -> bool:
        """Whether the service has closed the connection, as it does with idle ones.

        Looked at before anything is sent: afterwards nobody could tell whether a request was heard,
        and one that must not happen twice could not be sent again.
        """
        kept = self._connection.sock
        return kept is not None and bool(select.select([kept], [], [], 0)[0])
