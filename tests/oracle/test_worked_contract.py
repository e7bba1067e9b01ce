"""The worked contract: $30,000 a quarter for a year at 20 % off, with a true-up in Q3."""

from datetime import date
from fractions import Fraction

import pytest

from .cast import at, spend, unit_price
from .happenings import Advance, ApproveTrueUp, Happening, RequestTrueUp, Sign, Use
from .money import show
from .terms import level
from .world import World

ACME = level(
    "30000", customer="acme", key="A", starts_on=date(2026, 1, 1), discount=Fraction("0.20")
)


def story(*late: Use) -> list[Happening]:
    """The contract as told, with late usage woven in."""
    told: list[Happening] = [
        unit_price(),
        Sign(at=at("2025-12-20"), commit=ACME),
        spend("2026-02-01", "22000", "q1"),
        spend("2026-05-01", "41500", "q2"),
        RequestTrueUp(at=at("2026-08-14"), commit="A", key="t", amount=Fraction(10000)),
        ApproveTrueUp(at=at("2026-08-15"), key="t"),
        spend("2026-09-01", "36250.123456", "q3"),
        spend("2026-11-01", "45000", "q4"),
        *late,
    ]
    told += [
        Advance(at=at(day))
        for day in ("2026-04-05", "2026-07-05", "2026-10-05", "2027-01-05", "2027-04-05")
    ]
    return sorted(told, key=lambda one: one.at)


def told(*late: Use, until: str = "2027-12-31") -> World:
    """A world in which the story has happened up to an instant."""
    world = World()
    answers = world.run([one for one in story(*late) if one.at <= at(until)])
    assert set(answers) == {"ok"}
    return world


def figures(world: World, name: str) -> list[str]:
    """One figure of each quarter."""
    return [f"{float(getattr(one, name)):.6f}" for one in world.quarters("A")]


def test_the_quarters_are_those_of_the_page() -> None:
    """Granted, rolled in, used, overage and rolled out, by hand."""
    world = told()
    assert figures(world, "granted") == [
        "30000.000000",
        "38000.000000",
        "40000.000000",
        "43749.876544",
        "0.000000",
    ]
    assert figures(world, "rolled_in") == [
        "0.000000",
        "8000.000000",
        "0.000000",
        "3749.876544",
        "0.000000",
    ]
    assert figures(world, "used") == [
        "22000.000000",
        "41500.000000",
        "36250.123456",
        "45000.000000",
        "0.000000",
    ]
    assert figures(world, "overage") == [
        "0.000000",
        "3500.000000",
        "0.000000",
        "1250.123456",
        "0.000000",
    ]
    assert figures(world, "rolled_out") == [
        "8000.000000",
        "0.000000",
        "3749.876544",
        "0.000000",
        "0.000000",
    ]
    assert set(figures(world, "breakage")) == {"0.000000"}
    assert [one.kind for one in world.quarter("A", 3).grants] == ["instalment", "true_up"]
    assert [one.kind for one in world.quarter("A", 4).grants] == ["rollover", "instalment"]


def test_the_invoices_are_those_of_the_page() -> None:
    """Activation, three closes with the next instalment, the last close."""
    invoices = told().invoices("acme")
    assert [one.total_cents for one in invoices] == [
        3_000_000,
        3_000_000,
        3_350_000,
        5_000_000,
        125_012,
    ]
    assert [one.cents("instalment") for one in invoices] == [
        3_000_000,
        3_000_000,
        3_000_000,
        4_000_000,
        0,
    ]
    assert [one.cents("overage") for one in invoices] == [0, 0, 350_000, 0, 125_012]
    assert invoices[3].cents("true_up") == 1_000_000
    assert sum(one.total_cents for one in invoices) == 14_475_012


def test_the_trial_balance_at_the_end() -> None:
    """Used 144,750.123456; the residue 0.003456 went to rounding; nothing is deferred."""
    assert {name: show(amount) for name, amount in told().trial_balance().items()} == {
        "accounts receivable": "144750.120000000000",
        "overage revenue": "-4750.123456000000",
        "rounding": "0.003456000000",
        "usage revenue": "-140000.000000000000",
    }


@pytest.mark.parametrize(
    "day",
    [
        "2026-01-15",
        "2026-02-15",
        "2026-04-02",
        "2026-04-10",
        "2026-08-20",
        "2026-10-02",
        "2026-10-06",
        "2027-03-01",
    ],
)
def test_the_trial_balance_is_zero_in_all(day: str) -> None:
    """Debits equal credits on any day."""
    assert sum(told(until=day).trial_balance().values()) == 0


def test_deferred_revenue_in_the_grace() -> None:
    """Q2 is drawable from its first instant, invoiced only at Q1's close."""
    world = told(spend("2026-04-02", "100", "early"), until="2026-04-03")
    books = world.trial_balance()
    assert books["deferred revenue A Q1"] == -8000
    assert books["deferred revenue A Q2"] == 100  # a debit: a contract asset
    balance = world.balance("acme")
    assert balance is not None
    assert balance.index == 2
    assert balance.granted == 30000
    assert balance.pending_rollover == 8000


def test_late_usage_inside_the_grace() -> None:
    """(a) in time: Q1 used 22,500, rollover 7,500, Q2's overage 4,000."""
    world = told(spend("2026-02-02", "500", "late", arrives="2026-04-02"))
    assert figures(world, "used")[0] == "22500.000000"
    assert figures(world, "rolled_out")[0] == "7500.000000"
    assert figures(world, "overage")[1] == "4000.000000"
    assert [one.total_cents for one in world.invoices("acme")][2] == 3_400_000


def test_late_usage_in_mid_q2() -> None:
    """(b) after Q1 posted: a drawdown of 500 in Q2; the figures shown are the chain's."""
    late = spend("2026-02-02", "500", "late", arrives="2026-05-15")
    before = told(until="2026-05-15").trial_balance()
    after_world = told(late, until="2026-05-15")
    after = after_world.trial_balance()
    assert before["unbilled receivable"] == 3500
    assert after["unbilled receivable"] == 4000
    quiet = [
        told(*one, until="2026-04-30")
        for one in ((), (spend("2026-02-02", "500", "late", arrives="2026-04-20"),))
    ]
    changes = {
        name: quiet[1].trial_balance()[name] - amount
        for name, amount in quiet[0].trial_balance().items()
    }
    assert {name: one for name, one in changes.items() if one} == {
        "deferred revenue A Q2": 500,
        "usage revenue": -500,
    }
    world = told(late)
    assert figures(world, "used")[0] == "22500.000000"
    assert figures(world, "rolled_out")[0] == "7500.000000"
    assert figures(world, "granted")[1] == "37500.000000"
    assert figures(world, "overage")[1] == "4000.000000"
    assert world.invoices("acme")[2].cents("overage") == 400_000
    assert world.invoices("acme")[2].cents("late_usage") == 0


def test_late_usage_in_mid_q3() -> None:
    """(c) after Q2 billed 3,500: the 500 are late usage of Q1 on Q3's invoice."""
    world = told(spend("2026-02-02", "500", "late", arrives="2026-08-20"))
    assert figures(world, "rolled_out")[0] == "7500.000000"
    assert figures(world, "overage")[1] == "4000.000000"
    assert figures(world, "overage")[2] == "0.000000"
    invoice = world.invoices("acme")[3]
    assert [(one.kind, one.quarter, one.cents) for one in invoice.lines] == [
        ("instalment", 4, 4_000_000),
        ("true_up", 3, 1_000_000),
        ("late_usage", 1, 50_000),
    ]
    assert world.trial_balance()["rounding"] == Fraction("0.003456")
