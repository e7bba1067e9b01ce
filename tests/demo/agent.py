"""The metering agent: reports usage in gzipped batches, and again until it has been heard.

It keeps no state but the ids: an event is done once the service has said `accepted` or
`duplicate`, so it may report anything as often as it likes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.demo.client import ApiClient
from tests.demo.traffic import Usage

BATCH_EVENTS = 1_000
# On purpose, as networks do it: every so many batches one is reported twice, and in every so many
# an event stands twice.
BATCH_TWICE_EVERY, EVENT_TWICE_EVERY = 8, 3
HEADERS = {
    "Content-Type": "application/cloudevents-batch+json",
    "Content-Encoding": "gzip",
}


class UsageRefused(Exception):
    """The service refused events that the agent believes to be right."""


@dataclass
class Tally:
    """What the agent was told. `sent` counts every event of every batch that was answered."""

    batches: int = 0
    sent: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    heard: set[str] = field(default_factory=set)

    @property
    def accepted(self) -> int:
        """Events that the service has now, each counted once."""
        return len(self.heard)

    @property
    def duplicates(self) -> int:
        """Events that it had already when they came."""
        return self.sent - self.accepted


class MeteringAgent:
    """Reports events with an agent's key."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.tally = Tally()

    def report(self, events: Sequence[Usage]) -> None:
        """Deliver all of them, in order. Raises UsageRefused, or OSError if nobody answers."""
        for start in range(0, len(events), BATCH_EVENTS):
            batch = list(events[start : start + BATCH_EVENTS])
            self.tally.batches += 1
            if self.tally.batches % EVENT_TWICE_EVERY == 0 and len(batch) < BATCH_EVENTS:
                batch.append(batch[0])
            self._deliver(batch)
            if self.tally.batches % BATCH_TWICE_EVERY == 0:
                self._deliver(batch)

    def _deliver(self, batch: Sequence[Usage]) -> None:
        body = gzip.compress(json.dumps([event.body for event in batch]).encode(), 5)
        answer = self._api.ask("POST", "/usage", body, HEADERS)
        self._count(batch, answer)

    def _count(self, batch: Sequence[Usage], answer: dict[str, Any]) -> None:
        if answer["refused"]:
            raise UsageRefused(f"{len(answer['refused'])} events: {answer['refused'][0]}")
        if answer["accepted"] + answer["duplicates"] != len(batch):
            raise UsageRefused(f"{len(batch)} events were reported, but {answer} were counted")
        self.tally.sent += len(batch)
        for event in batch:
            if event.id not in self.tally.heard:
                self.tally.heard.add(event.id)
                self.tally.input_tokens += event.body["data"]["input_tokens"]
                self.tally.output_tokens += event.body["data"]["output_tokens"]
