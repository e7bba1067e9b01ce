"""Brings the spool to the service: in order, in batches, again and again until it is answered.

An event is done once the service has said that it has it, or that it will never take it. Anything
else (no answer, half an answer, an answer that does not add up) is asked again, for ever.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Sequence

from metering.agent.answers import MALFORMED, Refusal, Settled, problem_of, read_answer, state_of
from metering.agent.client import Answer, Client, Unanswered
from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.dead_letters import DeadLetters, DeadLettersFull
from metering.agent.delivered import Delivered, totals_of
from metering.agent.segments import Batch
from metering.agent.settings import BadSettings, Settings
from metering.agent.spool import Spool

log = logging.getLogger("metering.agent")
# How often one event alone must be called malformed before it is believed.
BELIEVED_AFTER = 2


class Stopped(Exception):
    """The agent is to end, and what was under way stays in the spool."""


class Delivery:
    """The one sender of an agent; `run` is its thread."""

    def __init__(
        self,
        settings: Settings,
        spool: Spool,
        delivered: Delivered,
        letters: DeadLetters,
        counts: Counts,
        clock: Clock,
    ) -> None:
        self._settings, self._spool, self._delivered = settings, spool, delivered
        self._letters, self._counts, self._clock = letters, counts, clock
        self._client = Client(settings.server, settings.timeout_seconds)
        self._random = random.Random()  # noqa: S311 - to spread retries, nothing secret
        self.oldest_at = 0.0  # When the oldest undelivered event was accepted; 0: none is known.
        self._failures = 0
        # Set when the agent is to end; from `no_more` on a failure is not tried again.
        self.stop, self.no_more = threading.Event(), threading.Event()

    def run(self) -> None:
        """Deliver until told to stop."""
        try:
            while not self.stop.is_set():
                self._spool.appended.clear()
                if not self.deliver_some():
                    self._clock.wait(self._spool.appended, self._settings.batch_seconds)
        except Stopped:
            pass

    def drain(self, deadline: float) -> bool:
        """Deliver what is left until a moment of the monotonic clock, or the first failure.

        Whether nothing is left.
        """
        self.no_more.set()
        try:
            while self._clock.monotonic() < deadline:
                if not self.deliver_some(at_once=True):
                    return True
        except Stopped:
            pass
        return False

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def deliver_some(self, *, at_once: bool = False) -> bool:
        """Deliver one batch, if there is one that is full or has waited; whether there was."""
        settings = self._settings
        batch = self._read()
        if not batch.events:
            self.oldest_at = 0.0
            self._counts.say(state="idle")
            if batch.end > self._delivered.place:
                self._done(batch, [])
            return False
        self.oldest_at = batch.oldest_at
        waited = self._clock.now() - batch.oldest_at
        is_full = len(batch.events) >= settings.batch_events // 2
        if not at_once and not is_full and 0 <= waited < settings.batch_seconds:
            self._clock.wait(self.stop, settings.batch_seconds - waited)
            batch = self._read()
        self._done(batch, self._deliver(batch.events))
        return True

    def _read(self) -> Batch:
        return self._spool.read(
            self._delivered.place, self._settings.batch_events, self._settings.batch_bytes
        )

    def _done(self, batch: Batch, refused: Sequence[int]) -> None:
        """The batch is delivered, all but the refused events, which lie in the dead letters."""
        left_out = set(refused)
        had = [json.loads(e) for i, e in enumerate(batch.events) if i not in left_out]
        self._delivered.record(batch.end, totals_of(had), self._clock.now())
        self._spool.forget_before(batch.end)
        self._counts.move("undelivered_events", -len(batch.events))

    def _deliver(self, events: Sequence[bytes]) -> list[int]:
        """Deliver all of them, in parts where the service wants parts; which were refused."""
        refused: list[int] = []
        doubted: dict[int, int] = {}
        parts = [(0, len(events))]
        while parts:
            start, end = parts.pop()
            outcome = self._until_answered(events[start:end])
            if isinstance(outcome, Settled):
                self._counts.add("delivered", "accepted", outcome.accepted)
                self._counts.add("delivered", "duplicates", outcome.duplicates)
                self._bury(events, start, outcome.refused)
                refused += [start + one.index for one in outcome.refused]
                continue
            if end - start > 1:
                middle = (start + end) // 2
                parts += [(middle, end), (start, middle)]
                continue
            doubted[start] = doubted.get(start, 0) + 1
            if outcome.status == MALFORMED and doubted[start] < BELIEVED_AFTER:
                parts.append((start, end))
                continue
            code, detail = problem_of(outcome)
            self._bury(events, start, [Refusal(0, code, detail)])
            refused.append(start)
        return refused

    def _bury(self, events: Sequence[bytes], start: int, refused: Sequence[Refusal]) -> None:
        letters = [
            {"code": one.code, "detail": one.detail, "event": json.loads(events[start + one.index])}
            for one in refused
        ]
        while True:
            try:
                self._letters.add(letters, self._clock.now())
                break
            except DeadLettersFull as error:
                self._failed(str(error), "no_room", slowly=False, after=0.0)
        for one in refused:
            self._counts.add("dead_letters", one.code)

    def _until_answered(self, events: Sequence[bytes]) -> Settled | Answer:
        """Ask until there is an answer to act on: Settled, or an Answer that wants smaller parts.

        Raises Stopped.
        """
        body = b"[" + b",".join(events) + b"]"
        while True:
            slowly, after = False, 0.0
            try:
                answer = self._client.post(body, self._settings.key(), self._clock.now())
            except Unanswered as error:
                problem, state = str(error), "retrying"
            except BadSettings as error:
                problem, state, slowly = str(error), "denied", True
            else:
                outcome = read_answer(answer, len(events))
                if not isinstance(outcome, str):
                    self._counts.add("requests", str(answer.status))
                    self._counts.say(state="delivering", problem="")
                    self._counts.set(delivering=1)
                    self._failures = 0
                    return outcome
                problem, after = outcome, answer.retry_after
                state, slowly = state_of(answer.status)
            self._failed(problem, state, slowly, after)

    def _failed(self, problem: str, state: str, slowly: bool, after: float) -> None:
        """Count a failure, and wait as long as it asks for. Raises Stopped."""
        settings = self._settings
        self._counts.add("requests", state)
        self._counts.set(delivering=0)
        # Full jitter, so that agents which failed together do not come back together.
        top = settings.backoff_first_seconds * 2.0 ** min(self._failures, 40)
        pause = self._random.uniform(0, min(top, settings.backoff_most_seconds))
        if slowly:
            pause = settings.denied_seconds * self._random.uniform(0.5, 1.0)
        pause = after + pause if after else pause
        self._failures += 1
        self._counts.say(state=state, problem=problem, failures_in_a_row=self._failures)
        level = logging.WARNING if self._failures in (1, 10) or slowly else logging.INFO
        log.log(level, "%s: %s; asking again in %.1f s", state, problem, pause)
        if self.no_more.is_set() or self._clock.wait(self.stop, pause):
            raise Stopped
