"""What a frame of the spool holds, and a batch of frames in the order in which they came."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metering.agent.frames import Frame


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place between two frames: a segment's number, and bytes into it."""

    segment: int = 0
    offset: int = 0


@dataclass(slots=True)
class Batch:
    """Events in order, each as JSON text, and where the reading goes on after them.

    `oldest_at` is when the first of them was accepted, in seconds since 1970.
    """

    most_events: int
    most_bytes: int
    end: Place
    events: list[bytes] = field(default_factory=list)
    oldest_at: float = 0.0
    bytes: int = 0

    def add(self, frame: Frame) -> bool:
        """Put a frame's events into the batch, if they fit or it is empty; whether they did."""
        head, rest = head_of(frame), frame.payload.partition(b"\n")[2]
        if not head["n"]:
            return True
        if self.events and (
            len(self.events) + head["n"] > self.most_events
            or self.bytes + len(rest) > self.most_bytes
        ):
            return False
        if not self.events:
            self.oldest_at = head["at"]
        self.events.extend(rest.split(b"\n"))
        self.bytes += len(rest)
        return True


def payload_of(
    events: Sequence[bytes], positions: Mapping[str, Any], at: float, *, whole: bool = False
) -> bytes:
    """Events (JSON without line ends) and how far the inputs have been read, as a frame's payload.

    `whole`: these are all positions, not those alone that have changed.
    """
    head = {"at": at, "n": len(events), "positions": positions, "whole": whole}
    return json.dumps(head).encode() + b"\n" + b"\n".join(events)


def head_of(frame: Frame) -> dict[str, Any]:
    """All of a frame but its events: `at`, their number `n`, `positions`, `whole`."""
    head: dict[str, Any] = json.loads(frame.payload[: frame.payload.index(b"\n")])
    return head
