"""True-ups: which quarters, what is billed when."""

from fractions import Fraction
from typing import Any

from .cast import at, lines, small, tell, totals
from .happenings import ApproveTrueUp, Happening, RequestTrueUp
from .world import World


def told(asked: str, approved: str, until: str, **more: Any) -> World:
    """A commit of 100 for 3 quarters with a true-up of 10 a quarter."""
    steps: list[Happening] = [
        RequestTrueUp(at=at(asked), commit="A", key="t", amount=Fraction(10), **more),
        ApproveTrueUp(at=at(approved), key="t"),
    ]
    return tell(small("100", 3), *steps, until=until)


def instalments(world: World) -> list[list[Fraction]]:
    """Amounts of own grants of the term's quarters."""
    return [
        [one.amount for one in quarter.grants if one.kind != "rollover"]
        for quarter in world.quarters("A")[:3]
    ]


def test_a_granted_quarter_is_billed_at_its_close_and_later_instalments_grow() -> None:
    """From the running quarter to the end of the term."""
    world = told("2026-05-01", "2026-05-02", "2026-10-05")
    assert instalments(world) == [[100], [100, 10], [110]]
    assert totals(world) == [10000, 10000, 12000]
    assert lines(world, 3) == [("instalment", 3, 11000), ("true_up", 2, 1000)]


def test_billed_now_on_its_own_invoice() -> None:
    """Only the grant issued at once; later instalments grow all the same."""
    world = told("2026-05-01", "2026-05-02", "2026-10-05", bill_now=True)
    assert lines(world, 3) == [("true_up", 2, 1000)]
    assert totals(world) == [10000, 10000, 1000, 11000]


def test_once() -> None:
    """from = through."""
    world = told("2026-02-01", "2026-02-02", "2026-10-05", from_quarter=2, through_quarter=2)
    assert instalments(world) == [[100], [110], [100]]


def test_a_first_quarter_posted_before_approval_drops_out() -> None:
    """A request of Q1 approved after Q1 posted starts with Q2."""
    world = told("2026-03-20", "2026-04-20", "2026-10-05")
    assert instalments(world) == [[100], [100, 10], [110]]


def test_in_the_grace_the_running_quarter_is_not_invoiced_yet() -> None:
    """So its instalment grows."""
    world = told("2026-04-02", "2026-04-02T12:00", "2026-10-05")
    assert instalments(world) == [[100], [110], [110]]
    assert totals(world) == [10000, 11000, 11000]


def test_tail_quarters_and_posted_quarters_cannot_be_trued_up() -> None:
    """Refused at the request."""
    world = tell(small("100", 3), until="2026-10-02")
    for first in (None, 1, 2, 4):
        assert (
            world.apply(
                RequestTrueUp(
                    at=at("2026-10-02"),
                    commit="A",
                    key=f"t{first}",
                    amount=Fraction(10),
                    from_quarter=first,
                )
            )
            == "refused"
        )
