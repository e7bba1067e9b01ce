"""Rollover: fraction, cap and max_times, per grant, and what is breakage."""

from fractions import Fraction

from .cast import small, spend, tell
from .fold import Quarter
from .happenings import Happening
from .terms import Rollover
from .world import World


def idle(rollover: Rollover, until: str, quarters: int = 4, *told: Happening) -> World:
    """A commit of 100 a quarter that uses nothing but what is told."""
    return tell(small("100", quarters, rollover=rollover), *told, until=until)


def grants(quarter: Quarter) -> list[tuple[object, ...]]:
    """(kind, amount, times rolled) in draw order."""
    return [(one.kind, one.amount, one.rolls) for one in quarter.grants]


def test_everything_rolls_by_default() -> None:
    """Nothing expires unless the commit says so, into the tail and on."""
    world = idle(Rollover(), "2027-08-01", 2)
    assert [one.granted for one in world.quarters("A")] == [100, 200, 200, 200, 200, 200, 200]
    assert [one.breakage for one in world.quarters("A")] == [0] * 7


def test_a_fraction_is_taken_of_each_grant_and_cut_to_12_decimals() -> None:
    """A third of 100 is cut down; what does not roll is breakage."""
    world = idle(Rollover(fraction=Fraction(1, 3)), "2026-07-05")
    third = Fraction("33.333333333333")
    assert grants(world.quarter("A", 2)) == [("rollover", third, 1), ("instalment", 100, 0)]
    assert world.quarter("A", 1).breakage == 100 - third
    assert grants(world.quarter("A", 3))[0] == ("rollover", Fraction("11.111111111111"), 2)
    assert world.trial_balance()["breakage revenue"] == -(
        world.quarter("A", 1).breakage + world.quarter("A", 2).breakage
    )


def test_a_cap_is_per_close_and_used_up_in_draw_order() -> None:
    """Rollovers stand before the instalment, so the oldest money takes the cap."""
    world = idle(Rollover(cap=Fraction(130)), "2026-10-05")
    assert [grants(one) for one in world.quarters("A")[1:4]] == [
        [("rollover", 100, 1), ("instalment", 100, 0)],
        [("rollover", 100, 2), ("rollover", 30, 1), ("instalment", 100, 0)],
        [("rollover", 100, 3), ("rollover", 30, 2), ("instalment", 100, 0)],
    ]
    assert [one.breakage for one in world.quarters("A")[:3]] == [0, 70, 100]


def test_a_dollar_rolls_at_most_max_times() -> None:
    """The count goes with each grant."""
    world = idle(Rollover(max_times=1), "2026-10-05")
    assert [grants(one) for one in world.quarters("A")[1:4]] == [
        [("rollover", 100, 1), ("instalment", 100, 0)]
    ] * 3
    assert [one.breakage for one in world.quarters("A")[:3]] == [0, 100, 100]
    never = idle(Rollover(max_times=0), "2026-04-05")
    assert never.quarter("A", 1).breakage == 100


def test_the_oldest_money_is_drawn_first() -> None:
    """Usage of 150 takes the rollover and half of the instalment."""
    world = idle(Rollover(max_times=1), "2026-07-05", 4, spend("2026-05-01", "150", "u"))
    assert grants(world.quarter("A", 3)) == [("rollover", 50, 1), ("instalment", 100, 0)]
    assert world.quarter("A", 2).breakage == 0
