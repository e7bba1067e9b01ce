"""When quarters begin and end: clamped month ends, leap days, a half-hour time zone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.scenarios import story
from tests.scenarios.story import add_customer, open_books, quarters, report, sign, spend
from tests.scenarios.world import World

pytestmark = pytest.mark.slow

# (first day, zone) -> the first instants of the quarters and the end of the last
STARTS = {
    ("2027-11-30", "UTC"): [
        "2027-11-30T00:00:00Z", "2028-02-29T00:00:00Z", "2028-05-30T00:00:00Z",
        "2028-08-30T00:00:00Z", "2028-11-30T00:00:00Z",
    ],
    ("2026-11-30", "UTC"): [
        "2026-11-30T00:00:00Z", "2027-02-28T00:00:00Z", "2027-05-30T00:00:00Z",
        "2027-08-30T00:00:00Z", "2027-11-30T00:00:00Z",
    ],
    ("2028-02-29", "UTC"): [
        "2028-02-29T00:00:00Z", "2028-05-29T00:00:00Z", "2028-08-29T00:00:00Z",
        "2028-11-29T00:00:00Z", "2029-02-28T00:00:00Z",
    ],
    ("2026-01-31", "Asia/Kolkata"): [
        "2026-01-30T18:30:00Z", "2026-04-29T18:30:00Z", "2026-07-30T18:30:00Z",
        "2026-10-30T18:30:00Z", "2027-01-30T18:30:00Z",
    ],
    ("2026-02-01", "America/St_Johns"): [
        "2026-02-01T03:30:00Z", "2026-05-01T02:30:00Z", "2026-08-01T02:30:00Z",
        "2026-11-01T02:30:00Z", "2027-02-01T03:30:00Z",
    ],
}  # fmt: skip


def boundaries(rows: list[dict[str, Any]], term: int = 4) -> list[str]:
    """The first instants of the term's quarters, and the end of the last."""
    for one, following in pairwise(rows):
        assert one["ends_at"] == following["starts_at"]
    return [row["starts_at"] for row in rows[:term]] + [rows[term - 1]["ends_at"]]


def test_quarters_are_counted_from_the_first_day(shared_world: World) -> None:
    """Never from the day that a short month gave."""
    open_books(shared_world, "nobody")
    for number, ((starts_on, zone), expected) in enumerate(STARTS.items()):
        key = f"start-{number}"
        add_customer(shared_world, key, timezone=zone)
        commit = sign(shared_world, customer=key, starts_on=starts_on)
        assert boundaries(quarters(shared_world, commit)) == expected, (starts_on, zone)


def test_usage_at_a_boundary_of_a_half_hour_zone(world: World) -> None:
    """Half past six in the evening, UTC, is the next quarter's first instant in Kolkata."""
    open_books(world, timezone="Asia/Kolkata")
    commit = sign(world)
    world.set_clock("2026-04-01T00:00:00Z")
    report(world, [spend("2026-03-31T18:29:59.999999", "10"), spend("2026-03-31T18:30:00", "20")])
    used = [row["used"] for row in quarters(world, commit)[:2]]
    assert used == ["10.000000000000", "20.000000000000"]


def test_the_grace_is_counted_from_the_zones_midnight(world: World) -> None:
    """Q1 ends at 18:30 UTC on March 31 and may close 72 hours later, not a second before."""
    open_books(world, timezone="Asia/Kolkata")
    commit = sign(world, auto_approve=None)
    world.set_clock("2026-04-03T18:29:00Z")
    early = world.ada.post("/closes", {"as_of": "2026-04-03T18:28:59Z"})
    assert early["results"] == []
    world.set_clock("2026-04-03T18:30:10Z")
    due = world.ada.post("/closes", {"as_of": "2026-04-03T18:30:00Z"})
    assert [(row["quarter"], row["state"]) for row in due["results"]] == [(1, "planned")]
    assert story.quarters(world, commit)[0]["state"] == "planned"
