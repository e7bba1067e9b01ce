"""The cast of the oracle's own tests: one customer, one model whose unit costs $0.000001."""

from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

from .happenings import AddPrice, Advance, Happening, Sign, Use
from .terms import Commit, Price, level
from .world import World

UNIT = Fraction("0.00000125")  # list; at 20 % off a unit costs a millionth of a dollar


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def price(model: str, mode: str, meter: str, amount: str, since: str = "2025-01-01") -> Price:
    """A dated price."""
    return Price(
        model=model, mode=mode, meter=meter, price=Fraction(amount), effective_at=at(since)
    )


def unit_price() -> AddPrice:
    """The list price of the one model, known long before anything else."""
    return AddPrice(
        at=at("2025-12-01"),
        price=Price(
            model="m", mode="serverless", meter="units", price=UNIT, effective_at=at("2025-01-01")
        ),
    )


def spend(when: str, dollars: str, name: str, arrives: str | None = None, model: str = "m") -> Use:
    """Usage worth exactly `dollars` at 20 % off."""
    return Use(
        at=at(arrives or when),
        customer="acme",
        id=name,
        occurred_at=at(when),
        model=model,
        quantities=(("units", int(Fraction(dollars) * 10**6)),),
    )


def small(amount: str = "100", quarters: int = 2, **terms: Any) -> Commit:
    """A small commit from 2026-01-01 at 20 % off; any term can be given."""
    given: dict[str, Any] = {
        "customer": "acme",
        "key": "A",
        "starts_on": date(2026, 1, 1),
        "discount": Fraction("0.20"),
        **terms,
    }
    return level(amount, quarters, **given)


def uncommitted(**terms: Any) -> Commit:
    """A customer billed in arrears by month; at 20 % off, so that `spend` fits."""
    given: dict[str, Any] = {"discount": Fraction("0.20"), "period_months": 1, **terms}
    return Commit(key="U", customer="acme", starts_on=date(2026, 1, 1), quarters=None, **given)


def tell(commit: Commit, *told: Happening, until: str) -> World:
    """A world with a commit signed in time, running its jobs every day until an instant."""
    world = World(daily_jobs=True)
    start = [unit_price(), Sign(at=at("2025-12-20"), commit=commit)]
    for one in [*start, *sorted(told, key=lambda one: one.at)]:
        answer = world.apply(one)
        assert answer == "ok", (answer, one)
    world.apply(Advance(at=at(until)))
    return world


def totals(world: World) -> list[int]:
    """The cents of each invoice of the customer."""
    return [invoice.total_cents for invoice in world.invoices("acme")]


def lines(world: World, invoice: int) -> list[tuple[str, int, int]]:
    """(kind, quarter, cents) of each line of an invoice, counted from 1."""
    found = world.invoices("acme")[invoice - 1].lines
    return [(line.kind, line.quarter, line.cents) for line in found]
