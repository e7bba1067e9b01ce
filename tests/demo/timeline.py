"""Lives through the quarters: moves the sandbox clock, lets the agent report, waits for closes.

The clock is put a moment before the midnight at which a close falls due, and then real time goes
on: it is the beat that notices, and the worker that closes. Everything else happens on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from tests.demo import cast, contracts
from tests.demo.agent import MeteringAgent
from tests.demo.contracts import People, Signed, dollars_word, rfc3339
from tests.demo.traffic import Usage

STEPS_A_QUARTER = 7
TRUE_UP_AFTER_STEP = 3
BEFORE_MIDNIGHT = timedelta(seconds=3)
WAIT_SECONDS = 180.0


class NothingHappened(Exception):
    """The service did not do by itself what it should have done by now."""


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Look again until it is so. Raises NothingHappened."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise NothingHappened(f"after {WAIT_SECONDS:g} s still not so: {what}")
        time.sleep(0.3)


class Timeline:
    """One run through the calendar; `events` are in the order in which they are reported."""

    def __init__(
        self,
        people: People,
        agent: MeteringAgent,
        signed: Sequence[Signed],
        events: Sequence[Usage],
    ) -> None:
        self._people, self._agent, self._signed, self._events = people, agent, signed, events
        self._reported = 0

    def live(self) -> None:
        """All quarters, one after the other."""
        for index, (starts_at, ends_at) in enumerate(pairwise(cast.BOUNDARIES), start=1):
            for step in range(1, STEPS_A_QUARTER + 1):
                self._advance(starts_at + (ends_at - starts_at) * step / STEPS_A_QUARTER)
                if index == cast.TRUE_UP_QUARTER and step == TRUE_UP_AFTER_STEP:
                    self._true_up()
            self._close(index, ends_at)

    def _advance(self, to: datetime) -> None:
        """Let time pass, and report what has become due."""
        self._people.ada.post("/sandbox/clock", {"now": rfc3339(to)})
        first = self._reported
        while self._reported < len(self._events) and self._events[self._reported].reported_at <= to:
            self._reported += 1
        self._agent.report(self._events[first : self._reported])
        left = []
        for signed in self._signed:
            balance = self._people.ada.get(f"/customers/{signed.contract.key}/balance")
            over = Decimal(balance["overage"])
            shown = dollars_word(balance["overage" if over else "available"])
            left.append(f"{signed.contract.key} {'over by ' if over else ''}{shown}")
        say(f"{to:%Y-%m-%d}  {self._reported:>7,} requests   left: {', '.join(left)}")

    def _true_up(self) -> None:
        for signed in self._signed:
            if signed.contract is cast.TRUE_UP_CUSTOMER:
                for words in contracts.true_up(self._people, signed):
                    say(f"            {words}")

    def _close(self, index: int, ends_at: datetime) -> None:
        """The grace passes, with some late events in it; then beat and worker close the quarter."""
        self._advance(ends_at + timedelta(days=1, hours=6))
        due_at = ends_at + timedelta(hours=cast.GRACE_HOURS)
        self._advance(due_at - BEFORE_MIDNIGHT)
        wait_until(f"the worker has planned Q{index}", lambda: self._states(index, "open") == 0)
        for signed in self._signed:
            words = contracts.approve_if_asked(self._people, signed, index)
            if words:
                say(f"            {words}")
        wait_until(
            f"Q{index} is invoiced",
            lambda: self._states(index, "invoiced") == len(self._signed),
        )
        wait_until(f"the invoices of Q{index} are paid", self.all_paid)
        say(f"            Q{index} is closed, invoiced and paid")

    def _states(self, index: int, state: str) -> int:
        rows = [contracts.quarter(self._people, signed, index) for signed in self._signed]
        return sum(row["state"] == state for row in rows)

    def all_paid(self) -> bool:
        """Whether every invoice has come back paid, by webhook."""
        return all(
            invoice["state"] in ("paid", "void")
            for signed in self._signed
            for invoice in self._people.ada.listed(f"/customers/{signed.contract.key}/invoices")
        )


def say(words: str) -> None:
    """A line of progress."""
    print(words, flush=True)
