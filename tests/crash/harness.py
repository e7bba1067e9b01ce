"""The parent's side: prepares worlds, cuts a scene off at each of its moments, and compares."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.crash.moments import CUT_OFF
from tests.crash.nursery import Order, Outcome
from tests.scenarios import databases
from tests.stripe_simulator import StripeSimulator

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class World:
    """A prepared database and what Stripe holds beside it, to be copied and not to be changed."""

    database: str
    stripe_data: Path


@dataclass
class Place:
    """A copy of a world, in which one process after the other works."""

    nursery: Nursery
    database: str
    stripe: StripeSimulator

    def run(self, *names: str, die_at: int = 0) -> Outcome:
        """One process that does these works."""
        return self.run_at_once([list(names)], die_at=die_at)

    def run_at_once(self, processes: list[list[str]], **options: int) -> Outcome:
        """Processes that start together."""
        return self.nursery.carry_out(Order(self.database, processes, self.stripe.url, **options))

    def state(self, *names: str) -> dict[str, Any]:
        """Do these works, and then say what the books and Stripe hold."""
        outcome = self.run(*names, "read_books", "read_problems")
        assert outcome.exits == [0], outcome.errors
        *_, books, problems = outcome.answers[0]
        assert problems == []
        assert self.stripe.violations() == []
        return {**books, "at Stripe": at_stripe(self.stripe)}


class Nursery:
    """A nursery process, and the databases that its children work in."""

    def __init__(self, home: Path, name: str, works: str) -> None:
        self.home, self.name = home, name
        self._resources = ExitStack()
        self._server = self._resources.enter_context(
            psycopg.connect(databases.address("postgres"), autocommit=True)
        )
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "billing.config.settings"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery", works],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def close(self) -> None:
        """End the process, drop the databases."""
        self._process.communicate(timeout=30)
        self._resources.close()

    def carry_out(self, order: Order) -> Outcome:
        """Send an order, wait for its outcome."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery has died"
        return Outcome(**json.loads(answer))

    def world(self, name: str, *names: str, base: World | None = None) -> World:
        """A new world, in which these works have been done; kept until the nursery closes."""
        place = self._resources.enter_context(self.place(base, name))
        outcome = place.run(*names)
        assert outcome.exits == [0], outcome.errors
        return World(place.database, self._stripe_data(place.database))

    def _stripe_data(self, database: str) -> Path:
        return self.home / f"{database}.sqlite3"

    @contextmanager
    def place(self, base: World | None, name: str = "copy") -> Iterator[Place]:
        """A copy of a world; of none, an empty database and an empty Stripe."""
        database = f"{self.name}_{name}"
        data = self._stripe_data(database)
        for old in self.home.glob(f"{data.name}*"):
            old.unlink()
        if base is not None:
            for part in self.home.glob(f"{base.stripe_data.name}*"):
                shutil.copy(
                    part, data.with_name(part.name.replace(base.stripe_data.name, data.name))
                )
        # As files, not through the log: a third of the time for a small database.
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database))
        template = sql.Identifier(base.database if base else "template1")
        self._server.execute(drop)
        self._server.execute(make.format(sql.Identifier(database), template))
        try:
            with StripeSimulator(data=str(data)) as stripe:
                yield Place(self, database, stripe)
        finally:
            self._server.execute(drop)


def at_stripe(stripe: StripeSimulator) -> list[str]:
    """Every invoice with its lines, and every customer: what must stand there once."""
    lines = stripe.objects("line_item")
    invoices = [
        json.dumps(
            [
                invoice["metadata"].get("ledger_invoice"),
                invoice["status"],
                invoice["total"],
                sorted(line["amount"] for line in lines if line["invoice"] == invoice["id"]),
            ]
        )
        for invoice in stripe.objects("invoice")
    ]
    return sorted(invoices) + sorted(customer["name"] for customer in stripe.objects("customer"))


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Rows that are missing, and rows too many."""
    return [
        f"{table}: {sign} {row}"
        for table in wanted
        for sign, rows in (
            ("missing", set(wanted[table]) - set(found[table])),
            ("too much", set(found[table]) - set(wanted[table])),
            ("count", [] if len(wanted[table]) == len(found[table]) else [len(found[table])]),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class Report:
    """What a scene's cuts came to."""

    moments: list[str]
    cuts: int
    failures: list[str]
    seconds: float

    def __str__(self) -> str:
        return f"{len(self.moments)} moments, {self.cuts} cuts, {self.seconds:.1f} s"


Choice = Callable[[Sequence[str]], list[int]]


def every_moment(moments: Sequence[str]) -> list[int]:
    """All of them, counted from 1."""
    return list(range(1, len(moments) + 1))


def every_state(moments: Sequence[str]) -> list[int]:
    """One moment for each state that the outer world can be in.

    Left out is a moment before a request, or before a statement that is its own transaction, if
    another moment came just before it: between the two nothing was sent to anyone.
    """
    return [
        number
        for number, moment in enumerate(moments, start=1)
        if number == 1 or moment.startswith(("after", "before commit"))
    ]


def every_request(moments: Sequence[str]) -> list[int]:
    """Before and after everything that changes something at Stripe."""
    return [number for number, moment in enumerate(moments, start=1) if " POST " in moment]


def cut_off(
    nursery: Nursery, world: World, work: str, choice: Choice, *, beat: str = "beat"
) -> Report:
    """Cut the work off at the chosen moments, finish it, and compare the books each time.

    The first run, which nobody cuts off, finds the moments. To finish is to do the same again, at
    once, and then what the beat does when it next comes round. Doing all that without a cut must
    change nothing either.
    """
    started = time.monotonic()
    with nursery.place(world) as place:
        first = place.run(work)
        assert first.exits == [0], first.errors
        wanted = place.state("beat")
        assert differences(place.state(work, "beat"), wanted) == []
    (moments,) = first.moments
    numbers = choice(moments)
    failures = []
    for number in numbers:
        with nursery.place(world) as place:
            died = place.run(work, die_at=number)
            assert (died.exits, died.moments) == ([CUT_OFF], [moments[:number]]), died.errors
            place.run(work)
            if beat == "beat_next_day":
                place.stripe.advance(hours=25)
            found = differences(place.state(beat), wanted)
            failures += [f"{number} {moments[number - 1]}: {one}" for one in found]
    return Report(moments, len(numbers), failures, time.monotonic() - started)
