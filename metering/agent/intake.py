"""From text to the spool: every record ends there, in the dead letters, or counted as passed over.

The dead letters of a record are written before its place in a file is passed, so a crash between
the two repeats a letter and loses none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from metering.agent import forms
from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLetters, DeadLettersFull, told
from metering.agent.forms.fields import Own, PassedOver, Unusable
from metering.agent.repeats import Event, Lately
from metering.agent.rules import Rules
from metering.agent.spool import Spool

FRAME_EVENTS, FRAME_BYTES = 500, 2**20
LARGEST_EVENT = 2**20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A record as it came. `anchor` identifies it where it has no id: "" if nothing can."""

    text: bytes
    anchor: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Taken:
    """What became of the records of one call; `refused` as (index, code, detail)."""

    accepted: int = 0
    passed_over: int = 0
    refused: list[tuple[int, str, str]] = field(default_factory=list)


class Intake:
    """Shared by all inputs; any thread may call it."""

    def __init__(
        self, rules: Rules, spool: Spool, letters: DeadLetters, counts: Counts, clock: Clock
    ) -> None:
        self._rules, self._spool, self._letters = rules, spool, letters
        self._counts, self._clock = counts, clock
        self._lately = Lately()
        # Who posted just before a crash, and was not answered, posts again.
        self._lately.remember([Event.of(json.loads(one)) for one in spool.newest()])

    def take(
        self,
        records: Iterable[Arrived],
        *,
        by: str,
        live: bool,
        positions: Mapping[str, Any] | None = None,
    ) -> Taken:
        """Take records in; durable when it returns.

        `by` names the input. `live` says that they come as they happen, so that now stands in for
        a missing time. `positions` is how far their file has been read with them. Raises SpoolFull
        and DeadLettersFull: then they have to come again; and SpoolBroken.
        """
        if self._letters.is_full:
            raise DeadLettersFull(f"{self._letters.path.name} has reached its limit")
        received_at = datetime.fromtimestamp(self._clock.now(), UTC) if live else None
        taken, events, letters = Taken(), [], []
        for index, record in enumerate(records):
            for outcome in self._outcomes(record, received_at):
                if isinstance(outcome, PassedOver):
                    taken.passed_over += 1
                    self._counts.add("passed_over", outcome.reason)
                elif isinstance(outcome, Unusable):
                    taken.refused.append((index, outcome.code, outcome.detail))
                    letters.append(_letter(outcome, record, by))
                else:
                    taken.accepted += 1
                    events.append(outcome)
        self._letters.add(letters, self._clock.now())
        for letter in letters:
            self._counts.add("dead_letters", letter["code"])
        new = self._lately.new_of(events)
        self._append([one.text for one in new], positions)
        self._lately.remember(new)
        self._counts.add("taken", by, len(new))
        self._counts.add("repeated", by, len(events) - len(new))
        return taken

    def set_aside(self, records: Sequence[Arrived], *, by: str, code: str, detail: str) -> None:
        """To the dead letters with records that cannot come again and find no room."""
        letters = [_letter(Unusable(code, detail), record, by) for record in records]
        self._letters.add(letters, self._clock.now())
        self._counts.add("dead_letters", code, len(letters))

    def _append(self, texts: Sequence[bytes], positions: Mapping[str, Any] | None) -> None:
        """To the spool, in frames of a fair size; the positions go with the last one."""
        frames: list[list[bytes]] = [[]]
        size = 0
        for text in texts:
            if len(frames[-1]) >= FRAME_EVENTS or size + len(text) > FRAME_BYTES:
                frames.append([])
                size = 0
            frames[-1].append(text)
            size += len(text)
        for frame in frames[:-1]:
            self._spool.append(frame)
            self._counts.move("undelivered_events", len(frame))
        if frames[-1] or positions:
            self._spool.append(frames[-1], positions)
            self._counts.move("undelivered_events", len(frames[-1]))

    def _outcomes(
        self, record: Arrived, received_at: datetime | None
    ) -> list[PassedOver | Unusable | Event]:
        """What a record comes to."""
        try:
            decoded = json.loads(record.text, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            return [Unusable("no_json", str(error)[:200])]
        found: list[PassedOver | Unusable | Event] = []
        for number, reading in enumerate(forms.read(decoded)):
            if isinstance(reading, PassedOver | Unusable):
                found.append(reading)
                continue
            anchor = f"{record.anchor}.{number}" if record.anchor and number else record.anchor
            event: Mapping[str, Any] | Unusable
            if isinstance(reading, Own):
                event, has_time = reading.event, True
            else:
                event = self._rules.event(reading, record.headers, anchor, received_at)
                has_time = reading.time is not None
            found.append(event if isinstance(event, Unusable) else _checked(event, has_time))
        return found


def anchor(*parts: bytes | str | int) -> str:
    """A fingerprint of where a record stands and what it says."""
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode("utf-8", "replace")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:40]


def _checked(event: Mapping[str, Any], is_timed: bool) -> Event | Unusable:
    made = Event.of(event, is_timed=is_timed)
    if len(made.text) > LARGEST_EVENT:
        return Unusable("too_large", f"an event of {len(made.text)} bytes")
    return made


def _letter(outcome: Unusable, record: Arrived, by: str) -> dict[str, Any]:
    return {"code": outcome.code, "detail": outcome.detail, "input": by, **told(record.text)}


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
