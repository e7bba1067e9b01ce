"""The laws, for any contract and any order of arrival (hypothesis)."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .billing_run import given_back
from .cast import at, tell
from .fold import Quarter
from .happenings import Advance, Happening, Use
from .stories import YEAR_END, commits, moments, stories, uses
from .terms import Commit
from .world import World

RUNS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def played(commit: Commit, told: list[Happening]) -> World:
    """A world after a story; refusals are part of it."""
    world = tell(commit, until="2025-12-31")
    for one in told:
        world.apply(one)
    return world


def total(world: World, name: str) -> Fraction:
    """A figure summed over all quarters."""
    return sum((getattr(one, name) for one in world.quarters("A")), Fraction(0))


def check_quarter(quarter: Quarter) -> None:
    """Used = drawn + overage; never drawable money and overage at once; nothing is lost."""
    withdrawn = sum((one.drawn.refunded for one in quarter.settled), Fraction(0))
    drawn = sum((one.drawn.drawn for one in quarter.settled), Fraction(0))
    drawable = sum(
        (
            one.drawn.left
            for one in quarter.settled
            if one.drawn.grant.expires_at == quarter.slot.end
        ),
        Fraction(0),
    )
    if not withdrawn:  # a refund stands even where late usage would have drawn the money
        assert quarter.used == drawn + quarter.overage
        assert drawable == 0 or quarter.overage == 0
    for one in quarter.settled:
        assert min(one.drawn.drawn, one.drawn.left, one.rolled, one.lapsed, one.refundable) >= 0
        if quarter.posted:
            assert one.drawn.left == one.rolled + one.lapsed + one.refundable


@RUNS
@given(commits, stories())
def test_the_laws_hold_after_every_happening(commit: Commit, told: list[Happening]) -> None:
    """Books balance; chain overage + given back = billed + unbilled, within half a cent."""
    world = tell(commit, until="2025-12-31")
    for one in told:
        world.apply(one)
        for quarter in world.quarters("A"):
            check_quarter(quarter)
        books = world.trial_balance()
        assert sum(books.values()) == 0
        chain = world.facts.chains[0]
        billed = sum(
            line.cents
            for invoice in world.invoices("acme")
            for line in invoice.lines
            if line.for_usage
        )
        unbilled = books.get("unbilled receivable", Fraction(0)) + chain.rounded_off
        notes = chain.usage_refunded_cents
        assert total(world, "overage") + given_back(world.facts, chain) == (
            Fraction(billed - notes, 100) + unbilled
        )
        assert all(line.cents >= 0 for invoice in world.invoices("acme") for line in invoice.lines)


@RUNS
@given(commits, stories(), st.sampled_from(["2026-04-04", "2026-07-04", "2026-10-04"]))
def test_right_after_a_close_half_a_cent_at_most_is_unbilled(
    commit: Commit, told: list[Happening], day: str
) -> None:
    """Or less than the minimum that an invoice must reach."""
    world = played(commit, [one for one in told if one.at <= at(day) - timedelta(days=1)])
    world.apply(Advance(at=at(day)))
    chain = world.facts.chains[0]
    posted = sum((one.overage for one in world.quarters("A") if one.posted), Fraction(0))
    unbilled = posted + given_back(world.facts, chain) - Fraction(chain.billed_cents, 100)
    invoiced = any(one.occasion == f"close {len(chain.posted)}" for one in world.invoices("acme"))
    assert abs(unbilled) <= Fraction("0.005") or (not invoiced and 0 < unbilled < Fraction("0.5"))


@RUNS
@given(commits, stories())
def test_after_the_end_only_what_cannot_be_billed_is_left(
    commit: Commit, told: list[Happening]
) -> None:
    """Years later nothing is deferred or unbilled, and rounding is below the minimum."""
    world = played(commit, told)
    world.apply(Advance(at=at("2028-07-01")))
    chain = world.facts.chains[0]
    books = world.trial_balance()
    if chain.ended:
        assert not [name for name in books if name.startswith(("deferred", "unbilled"))]
        assert abs(books.get("rounding", Fraction(0))) < Fraction("0.52")


@RUNS
@given(commits, uses(), st.randoms(use_true_random=False))
def test_arrival_order_changes_nothing_while_a_quarter_is_open(
    commit: Commit, events: list[Use], random: Random
) -> None:
    """Without delay or all in one shuffle within the grace: the same in all ends."""
    prompt = [replace(one, at=one.occurred_at) for one in events]
    delayed = [
        replace(one, at=one.occurred_at + timedelta(hours=random.randrange(72))) for one in prompt
    ]
    worlds = []
    for told in (prompt, delayed):
        world = played(commit, sorted(told, key=lambda one: one.at))
        world.apply(Advance(at=at("2027-08-01")))
        worlds.append(world)
    first, second = worlds
    assert first.trial_balance() == second.trial_balance()
    assert [one.lines for one in first.invoices("acme")] == [
        one.lines for one in second.invoices("acme")
    ]


@RUNS
@given(commits, stories(), st.integers(1, 20_000_000), moments)
def test_late_usage_is_conserved(
    commit: Commit, told: list[Happening], units: int, occurred: datetime
) -> None:
    """Late amount = balance drawn + extra overage + breakage undone, exactly."""
    world = played(commit, told)
    world.apply(Advance(at=YEAR_END))
    before = {
        name: total(world, name)
        for name in ("overage", "breakage", "credits_expired", "refundable")
    }
    known = {one.slot.key for one in world.quarters("A")}
    used = total(world, "used")
    open_left = sum((one.left for one in world.quarters("A") if not one.posted), Fraction(0))
    assert (
        world.apply(
            Use(
                at=YEAR_END,
                customer="acme",
                id="late",
                occurred_at=min(occurred, YEAR_END),
                model="m",
                quantities=(("units", units),),
            )
        )
        == "ok"
    )
    if {one.slot.key for one in world.quarters("A")} != known or world.usage().unrated:
        return
    drawn = open_left - sum(
        (one.left for one in world.quarters("A") if not one.posted), Fraction(0)
    )
    undone = sum(
        (
            before[name] - total(world, name)
            for name in ("breakage", "credits_expired", "refundable")
        ),
        Fraction(0),
    )
    extra = total(world, "overage") - before["overage"]
    assert total(world, "used") - used == Fraction(units, 10**6)
    assert drawn + extra + undone == Fraction(units, 10**6)
