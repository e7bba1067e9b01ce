"""What the agents are fed: records of several forms, made of numbers, and what each must come to.

A number alone decides its record: customer, tokens, time and form. So what the ledger must hold in
the end is known without asking any agent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CUSTOMERS = ("acme", "bolt", "cinder")
MODEL, MODE = "llama-3.3-70b", "serverless"
FIRST = datetime(2026, 1, 5, tzinfo=UTC)
SOURCES = {"own": "gateway/own", "openai": "metering-agent", "litellm": "metering-agent"}


def form_of(number: int) -> str:
    return ("own", "openai", "litellm")[number // len(CUSTOMERS) % 3]


def occurred_at(number: int) -> datetime:
    """Within four weeks of January, to the second."""
    return FIRST + timedelta(seconds=number * 37 % (28 * 86_400))


def tokens(number: int) -> tuple[int, int, int, int]:
    """Input, of which cached, output, of which reasoning."""
    whole, output = 100 + number * 7919 % 3000, number * 104_729 % 500
    return whole, whole * (number % 4) // 4, output, output * (number % 3) // 3


def event(number: int) -> dict[str, Any]:
    """The event that must be in the ledger, written without the agent's help."""
    whole, cached, output, reasoning = tokens(number)
    return {
        "specversion": "1.0",
        "id": f"req-{number}",
        "source": SOURCES[form_of(number)],
        "subject": CUSTOMERS[number % len(CUSTOMERS)],
        "time": occurred_at(number).isoformat().replace("+00:00", "Z"),
        "type": "inference.tokens",
        "data": {
            "model": MODEL, "mode": MODE, "input_tokens": whole, "cached_input_tokens": cached,
            "output_tokens": output, "reasoning_tokens": reasoning,
        },
    }  # fmt: skip


def record(number: int) -> dict[str, Any]:
    """What a gateway writes of it."""
    whole, cached, output, reasoning = tokens(number)
    usage = {
        "prompt_tokens": whole, "completion_tokens": output, "total_tokens": whole + output,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }  # fmt: skip
    customer, seconds = CUSTOMERS[number % len(CUSTOMERS)], occurred_at(number).timestamp()
    form = form_of(number)
    if form == "own":
        return event(number)
    if form == "openai":
        answer = {"id": f"req-{number}", "object": "chat.completion", "created": int(seconds),
                  "model": MODEL, "usage": usage}  # fmt: skip
        return {"customer": customer, "response": answer}
    return {
        "id": f"req-{number}", "call_type": "acompletion", "response_cost": 0.25,
        "status": "success", "model": MODEL, "model_group": "llama", "hidden_params": {},
        "prompt_tokens": whole, "completion_tokens": output, "startTime": seconds - 1,
        "endTime": seconds, "metadata": {"customer": customer, "usage_object": usage},
    }  # fmt: skip


class Feeder:
    """A thread that feeds numbers, so many a second, and knows which ones it has handed over."""

    def __init__(self, first: int, per_second: float, feed: Callable[[list[int]], None]) -> None:
        self.first = self.next = first
        self._per_second, self._feed = per_second, feed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Hand over what is under way, and end."""
        self._ended.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "an agent takes nothing"

    def numbers(self) -> range:
        """All that were handed over."""
        return range(self.first, self.next)

    def _live(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(0.05):
            due = self.first + int((time.monotonic() - began) * self._per_second)
            while self.next < due:
                numbers = list(range(self.next, min(due, self.next + 20)))
                self._feed(numbers)
                self.next = numbers[-1] + 1


class LogFile:
    """A gateway's log, rotated every so many records, by rename and by copy and truncate."""

    def __init__(self, path: Path, rotate_every: int) -> None:
        self.path, self._every = path, rotate_every
        self._written = self.rotations = 0

    def feed(self, numbers: list[int]) -> None:
        """Write the records."""
        with self.path.open("a") as stream:
            stream.write("".join(json.dumps(record(number)) + "\n" for number in numbers))
        self._written += len(numbers)
        if self._written >= self._every:
            self._written = 0
            self._rotate()

    def _rotate(self) -> None:
        self.rotations += 1
        older = self.path.with_name(f"{self.path.name}.{self.rotations}")
        if self.rotations % 2:
            self.path.rename(older)
            return
        shutil.copyfile(self.path, older)
        os.truncate(self.path, 0)


class Poster:
    """A gateway that posts to the agent's port, and again until it is told that it was taken."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.repeats = 0

    def feed(self, numbers: list[int]) -> None:
        """Post the records in one request."""
        body = json.dumps([record(number) for number in numbers]).encode()
        while not self._post(body):
            self.repeats += 1
            time.sleep(0.1)

    def _post(self, body: bytes) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        with (
            contextlib.closing(connection),
            contextlib.suppress(OSError, http.client.HTTPException),
        ):
            connection.request("POST", "/", body)
            answer = connection.getresponse()
            answer.read()
            assert answer.status in (200, 503), answer.status
            return answer.status == 200
        return False
