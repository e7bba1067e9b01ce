"""Acme's contract of the worked example, lived through over REST.

$30,000 a quarter for four quarters from 2026-01-01 at 20 % off; true-up of $10,000 a quarter,
Q3 through Q4, approved in mid-Q3. Nothing here is asserted: the tests look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.scenarios import story
from tests.scenarios.story import Spend, at, spread
from tests.scenarios.world import World

TRUE_UP_AT = at("2026-08-15T12:00:00")
END = at("2027-04-06T00:00:00")


@dataclass
class Acme:
    """The contract, the usage still to be reported, and how far time has come."""

    world: World
    commit: str = ""
    waiting: list[Spend] = field(default_factory=list)
    true_up_due: bool = True

    def begin(self) -> None:
        """Sign in December."""
        story.open_books(self.world)
        self.commit = story.sign(self.world)
        self.waiting = [
            *spread("2026-01-01", "2026-04-01", "22000"),
            *spread("2026-04-01", "2026-07-01", "41500"),
            *spread("2026-07-01", "2026-10-01", "36250.123456"),
            *spread("2026-10-01", "2027-01-01", "45000"),
        ]

    def live_until(self, end: datetime) -> None:
        """Let time pass in half months, reporting usage as it occurs, with the true-up in Q3."""
        for moment in self._moments(end):
            self.world.set_clock(moment.isoformat())
            self._report([one for one in self.waiting if one.at <= moment])
            if self.true_up_due and moment == TRUE_UP_AT:
                self._true_up()

    def report_late(self, late: Spend) -> None:
        """An event that the agent had forgotten."""
        story.report(self.world, [late])

    def wait_for_the_books(self) -> None:
        """Some minutes pass: usage counts at once in what is shown, and is booked soon after."""
        self.world.set_clock((self._now() + timedelta(minutes=5)).isoformat())

    def _now(self) -> datetime:
        return datetime.fromisoformat(self.world.ada.get("/sandbox/clock")["now"])

    def _moments(self, end: datetime) -> Iterator[datetime]:
        now = self._now()
        half_months = [at("2026-01-01") + timedelta(days=15 * place) for place in range(32)]
        moments = sorted([*half_months, TRUE_UP_AT, end])
        yield from (moment for moment in moments if now < moment <= end)

    def _report(self, due: Sequence[Spend]) -> None:
        story.report(self.world, due)
        self.waiting = [one for one in self.waiting if one not in due]

    def _true_up(self) -> None:
        """Ada asks for it, Ben approves it."""
        asked = self.world.ada.post(f"/commits/{self.commit}/true-ups", {"amount": "10000.00"})
        self.world.ben.post(f"/true-ups/{asked['id']}/approve")
        self.true_up_due = False
