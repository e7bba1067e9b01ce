"""The words that stories are told in: prices that make dollars exact, usage, contracts, tables.

A unit of the meter `dollars` costs 1.25 list and one of `micros` a millionth of that, so at 20 %
off a story spends exactly what it says, to the sixth decimal.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.scenarios.world import World

SIGNING = "2025-12-15T09:00:00Z"
MODEL, MODE = "llama-3.3-70b", "serverless"
LIST_PRICES = (("dollars", "dollar", "1.25"), ("micros", "microdollar", "0.00000125"))
SOURCE = "gateway/us-east-1"
_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Spend:
    """Usage that occurred at an instant and is worth exactly `dollars` at 20 % off."""

    at: datetime
    dollars: Decimal
    id: str
    customer: str = "acme"

    def event(self) -> dict[str, Any]:
        """As an agent reports it."""
        whole = int(self.dollars)
        micros = (self.dollars - whole) * 10**6
        assert micros == int(micros), self.dollars
        quantities = {"dollars": whole, "micros": int(micros)}
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "subject": self.customer,
            "time": self.at.isoformat().replace("+00:00", "Z"),
            "type": "inference.usage",
            "data": {
                "model": MODEL,
                "mode": MODE,
                "quantities": {meter: n for meter, n in quantities.items() if n},
            },
        }


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spend(when: str, dollars: str, customer: str = "acme") -> Spend:
    """One event."""
    return Spend(at(when), Decimal(dollars), f"req-{next(_ids)}", customer)


def spread(since: str, until: str, dollars: str, pieces: int = 13) -> list[Spend]:
    """The dollars in so many events, evenly over [since, until); the last one has the rest."""
    step = (at(until) - at(since)) / pieces
    total = Decimal(dollars)
    each = total // pieces
    amounts = [each] * (pieces - 1) + [total - each * (pieces - 1)]
    return [
        Spend(at(since) + step * place + timedelta(minutes=7), amount, f"req-{next(_ids)}")
        for place, amount in enumerate(amounts)
    ]


def open_books(world: World, *customers: str, timezone: str = "UTC", now: str = SIGNING) -> None:
    """Set the clock, and make meters, prices and customers."""
    world.set_clock(now)
    for meter, unit, price in LIST_PRICES:
        world.ada.post("/meters", {"key": meter, "unit": unit})
        world.ada.post(
            "/prices",
            {"model": MODEL, "mode": MODE, "meter": meter, "price": price,
             "effective_at": "2020-01-01T00:00:00Z"},
        )  # fmt: skip
    for key in customers or ("acme",):
        add_customer(world, key, timezone=timezone)


def add_customer(world: World, key: str, timezone: str = "UTC") -> None:
    """A customer of that key."""
    world.ada.post(
        "/customers",
        {"key": key, "name": key.title(), "email": f"billing@{key}.example",
         "timezone": timezone},
    )  # fmt: skip


def sign(world: World, **terms: Any) -> str:
    """A commit of $30,000 a quarter for a year from 2026 at 20 % off, or with other terms; its id.

    Closes pass by rule unless the terms say otherwise.
    """
    given = {
        "customer": "acme",
        "starts_on": "2026-01-01",
        "quarters": 4,
        "instalment": "30000.00",
        "discount": "0.20",
        "auto_approve": {"max_overage": "1000000.00"},
        **terms,
    }
    commit = world.ada.post("/commits", given)
    world.ada.post(f"/commits/{commit['id']}/activate")
    return str(commit["id"])


def report(world: World, spends: Sequence[Spend]) -> dict[str, Any]:
    """Post the events as one batch; all must be news."""
    if not spends:
        return {}
    answer = world.agent.post("/usage", [one.event() for one in spends])
    assert answer["accepted"] == len(spends), answer
    return dict(answer)


def quarters(world: World, commit: str) -> list[dict[str, Any]]:
    """The quarters of a commit as the service shows them."""
    return list(world.ada.listed(f"/commits/{commit}/quarters"))


FIGURES = ("granted", "rolled_in", "used", "overage", "rolled_out", "breakage")


def quarters_table(world: World, commit: str) -> str:
    """The quarters as a printed table, every figure to the twelfth decimal."""
    rows = [
        [f"Q{row['index']}", row["state"], *[str(row[name]) for name in FIGURES]]
        for row in quarters(world, commit)
    ]
    return table([["", "state", *FIGURES], *rows])


def invoices(world: World, customer: str = "acme") -> list[dict[str, Any]]:
    """A customer's invoices with their lines, oldest first."""
    found = list(world.ada.listed(f"/customers/{customer}/invoices"))
    whole = [world.ada.get(f"/invoices/{invoice['id']}") for invoice in found]
    return sorted(whole, key=lambda invoice: str(invoice["created_at"]))


def invoices_table(world: World, customer: str = "acme") -> str:
    """The invoices as a printed table: a row for each line, then the total."""
    rows = []
    for number, invoice in enumerate(invoices(world, customer), 1):
        for line in invoice["lines"]:
            quantity = "" if line["quantity"] is None else str(line["quantity"])
            what = [line["kind"], f"Q{line['quarter']}", line.get("meter") or "", quantity]
            rows.append([str(number), *what, cents(line["amount_cents"]), ""])
        rows.append([str(number), "total", "", "", "", cents(invoice["total_cents"]),
                     invoice["state"]])  # fmt: skip
    return table([["", "line", "of", "meter", "quantity", "dollars", "state"], *rows])


def cents(amount: int) -> str:
    """Whole cents as dollars."""
    return f"{amount // 100}.{amount % 100:02}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, words to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if cell[:1].isdigit() or cell[:1] == "-" else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def same(shown: str, expected: str) -> None:
    """Both tables are the same but for the width of columns; the one shown is printed."""
    print(shown)
    assert _words(shown) == _words(expected), f"\nshown:\n{shown}\nexpected:\n{expected}"


def _words(text: str) -> list[list[str]]:
    return [line.replace(",", "").split() for line in text.strip().splitlines()]
