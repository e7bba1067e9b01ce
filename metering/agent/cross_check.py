"""Holds what was delivered against what the service has stored, hour by hour.

Once an hour the totals of hours that are over go to the service, which answers with what differs.
Owns which hours are told, and told again, and which differences stand: those that two answers in a
row have named, because other agents of the customer may yet have to tell their part of the hour.
Nothing that happens here disturbs delivery.
"""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from metering.agent.answers import decoded
from metering.agent.client import Answer, Client, Unanswered
from metering.agent.clock import Clock
from metering.agent.counts import Counts
from metering.agent.delivered import HOURS_KEPT, Delivered
from metering.agent.settings import BadSettings, Settings

log = logging.getLogger("metering.agent")
BENEATH = "/cross-checks"
HOUR_SECONDS = 3_600.0
FIRST_AFTER_SECONDS = 60.0
SETTLED_SECONDS = 600.0
FUTURE_SECONDS = 300.0  # So far ahead of its time the service takes an event.
# A day less than a total is kept untouched: one that is told was never forgotten in between.
HOURS_TOLD = HOURS_KEPT - 24
MOST_TOTALS = 1_000
MOST_SHOWN, MOST_LOGGED = 100, 10
# Of the totals, what is no meter of the service.
NOT_METERS = frozenset({"events", "reasoning_tokens", "busy_gpu_seconds"})
_NOT_FOR_US = {403: "the key may not", 404: "the service is older"}
_GROUP = ("customer", "hour", "model", "mode", "meter")

CustomerHour = tuple[str, str]
Told = dict[CustomerHour, list[dict[str, Any]]]
Group = tuple[str, ...]
Differences = dict[Group, dict[str, Any]]


class NotForUs(Exception):
    """The service wants no totals from this agent."""


class NotTold(Exception):
    """The service has not answered as it should; the next turn tells again."""


class CrossCheck:
    """The cross-check of one agent; `run` is its thread."""

    def __init__(
        self, settings: Settings, delivered: Delivered, counts: Counts, clock: Clock
    ) -> None:
        self._settings, self._delivered = settings, delivered
        self._counts, self._clock = counts, clock
        self._client = Client(settings.server, settings.timeout_seconds, BENEATH)
        self._random = random.Random()  # noqa: S311 - to spread agents, nothing secret
        self._told: Told = {}  # What the service has answered to, as it was told.
        self._found: dict[CustomerHour, Differences] = {}  # By the last answer.
        self._standing: dict[CustomerHour, Differences] = {}  # By the last two.
        self._failures = 0
        self._say("on", "")

    def run(self, stop: threading.Event) -> None:
        """Tell once an hour until told to stop, or until the service wants no totals."""
        pause = min(FIRST_AFTER_SECONDS, self._settings.cross_check_seconds)
        try:
            while not self._clock.wait(stop, pause * self._random.uniform(0.9, 1.1)):
                self._turn(stop)
                pause = self._settings.cross_check_seconds
        except NotForUs as error:
            self._give_up(str(error))
        except Exception as error:
            log.exception("the cross-check has failed")
            self._give_up(type(error).__name__)
        finally:
            self._client.close()

    def _turn(self, stop: threading.Event) -> None:
        """Tell what is new or differs. Raises NotForUs."""
        whole = self._whole_hours()
        due = [one for one in sorted(whole, key=lambda one: (one[1], one[0]))
               if whole[one] != self._told.get(one) or one in self._found]  # fmt: skip
        for seen in (self._told, self._found, self._standing):
            for one in [one for one in seen if one not in whole]:
                del seen[one]
        problem = ""
        try:
            for part in _parts(due, whole):
                if stop.is_set():
                    return
                problem = self._tell(part, whole, stop) or problem
            self._failures = 0
        except NotTold as error:
            problem = str(error)
            self._failures += 1
            level = logging.WARNING if self._failures == 1 else logging.INFO
            log.log(level, "the totals could not be told: %s", problem)
        self._say("on", problem)

    def _whole_hours(self, asked: Sequence[CustomerHour] = ()) -> Told:
        """The totals of those hours that are over and known from their start, by customer; no
        earlier and no later ones than were asked for."""
        now = self._clock.now()
        start = self._delivered.since + FUTURE_SECONDS + HOUR_SECONDS - 1
        first = max(_hour(start), _hour(now - HOURS_TOLD * HOUR_SECONDS))
        last = _hour(now - HOUR_SECONDS - SETTLED_SECONDS)
        if asked:
            first = max(first, min(hour for _, hour in asked))
            last = min(last, max(hour for _, hour in asked))
        found: Told = {}
        for key, sums in sorted(self._delivered.between(first, last).items()):
            customer, model, mode, hour = key
            quantities = {name: n for name, n in sums.items() if name not in NOT_METERS}
            if quantities:
                found.setdefault((customer, hour), []).append({
                    "customer": customer, "hour": f"{hour}:00:00Z", "model": model, "mode": mode,
                    "quantities": quantities,
                })  # fmt: skip
        return found

    def _tell(self, part: Sequence[CustomerHour], whole: Told, stop: threading.Event) -> str:
        """Tell the totals of some hours, and in halves where the service finds one wrong.

        What it says is wrong, "" if nothing. Raises NotForUs and NotTold.
        """
        problem, parts = "", [part]
        while parts and not stop.is_set():
            asked = parts.pop()
            answer = self._ask([total for one in asked for total in whole[one]])
            if answer.status in _NOT_FOR_US:
                raise NotForUs(f"{_NOT_FOR_US[answer.status]} (answered {answer.status})")
            said = decoded(answer)
            if answer.status == 200:
                self._note(asked, whole, _differences(said, sum(len(whole[one]) for one in asked)))
            elif answer.status not in (400, 413, 422) or not _is_problem(said):
                raise NotTold(f"answered {answer.status}")
            elif len(asked) > 1:
                middle = len(asked) // 2
                parts += [asked[middle:], asked[:middle]]
            else:
                # Told again when it has changed, or after a start.
                self._told[asked[0]] = whole[asked[0]]
                self._found.pop(asked[0], None)
                self._standing.pop(asked[0], None)
                self._counts.add("cross_checks", "refused")
                problem = f"{said['code']}: {str(said.get('detail'))[:200]!r}"
                log.warning("the service takes no totals of %r in %s: %s", *asked[0], problem)
        return problem

    def _ask(self, totals: Sequence[Mapping[str, Any]]) -> Answer:
        body = json.dumps({"source": self._delivered.name, "totals": totals}).encode()
        try:
            answer = self._client.post_json(body, self._settings.key(), self._clock.now())
        except (Unanswered, BadSettings) as error:
            self._counts.add("cross_checks", "unanswered")
            raise NotTold(str(error)) from error
        self._counts.add("cross_checks", str(answer.status))
        return answer

    def _note(
        self, asked: Sequence[CustomerHour], whole: Told, found: dict[CustomerHour, Differences]
    ) -> None:
        """Keep what an answer says, but of hours that have changed while it was under way."""
        now = self._whole_hours(asked)
        new: Differences = {}
        for one in asked:
            if now.get(one) != whole[one]:
                continue
            self._told[one] = whole[one]
            mine = found.get(one, {})
            before = self._found.pop(one, {})
            stood = self._standing.pop(one, {})
            if mine:
                self._found[one] = mine
            standing = {group: told for group, told in mine.items() if group in before}
            if standing:
                self._standing[one] = standing
                new |= {group: told for group, told in standing.items() if group not in stood}
            elif stood:
                log.info("the counts of %r in %s agree again", *one)
        if new:
            shown = [json.dumps(told) for told in list(new.values())[:MOST_LOGGED]]
            log.warning("%d counts differ from the service's: %s", len(new), ", ".join(shown))

    def _give_up(self, problem: str) -> None:
        log.warning("the cross-check is off until the next start: %s", problem)
        self._counts.add("cross_checks", "switched_off")
        self._say("off", problem)

    def _say(self, state: str, problem: str) -> None:
        standing = [told for of in self._standing.values() for told in of.values()]
        self._counts.set(cross_check_differences=len(standing))
        self._counts.say(
            cross_check={
                "state": state, "problem": problem, "source": self._delivered.name,
                "whole_since": _iso(self._delivered.since), "hours_told": len(self._told),
                "differences": standing[:MOST_SHOWN],
            }
        )  # fmt: skip


def _parts(due: Sequence[CustomerHour], whole: Told) -> Iterator[list[CustomerHour]]:
    """Parts of about MOST_TOTALS totals. A customer's hour stays whole: the service compares all
    of it."""
    part: list[CustomerHour] = []
    size = 0
    for one in due:
        if part and size + len(whole[one]) > MOST_TOTALS:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(whole[one])
    if part:
        yield part


def _differences(said: Any, checked: int) -> dict[CustomerHour, Differences]:
    """What an answer to so many totals names. Raises NotTold if it is not the service's."""
    found: dict[CustomerHour, Differences] = {}
    try:
        if said["checked"] != checked:
            raise NotTold("the answer does not add up")
        for one in said["differences"]:
            group = tuple(str(one[name]) for name in _GROUP)
            told = {name: one[name] for name in (*_GROUP, "reported", "stored")}
            found.setdefault((group[0], group[1][:13]), {})[group] = told
    except (TypeError, KeyError) as error:
        raise NotTold("the answer is not the service's") from error
    return found


def _is_problem(said: Any) -> bool:
    return isinstance(said, dict) and isinstance(said.get("code"), str)


def _hour(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")[:-6] + "Z"
