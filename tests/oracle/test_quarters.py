"""Quarter boundaries: from the original start date, clamped, in the contract's zone."""

from datetime import UTC, date, datetime

from .cast import at, small, spend, tell
from .happenings import Waive
from .quarters import boundary, months_later
from .terms import Commit


def starts(commit: Commit, count: int) -> list[date]:
    """The dates on which quarters begin, in UTC."""
    return [boundary(commit, index).date() for index in range(1, count + 1)]


def test_a_commit_from_nov_30() -> None:
    """Nov 30, Feb 28, May 30, Aug 30: never May 28."""
    assert starts(small(starts_on=date(2026, 11, 30)), 6) == [
        date(2026, 11, 30),
        date(2027, 2, 28),
        date(2027, 5, 30),
        date(2027, 8, 30),
        date(2027, 11, 30),
        date(2028, 2, 29),
    ]


def test_a_commit_from_feb_29_and_one_from_the_31st() -> None:
    """A leap day comes back on the 29th of the other months."""
    assert starts(small(starts_on=date(2028, 2, 29)), 5) == [
        date(2028, 2, 29),
        date(2028, 5, 29),
        date(2028, 8, 29),
        date(2028, 11, 29),
        date(2029, 2, 28),
    ]
    assert months_later(date(2026, 1, 31), 1) == date(2026, 2, 28)
    assert months_later(date(2026, 8, 31), 3) == date(2026, 11, 30)


def test_boundaries_are_the_first_instant_of_the_date_in_the_zone() -> None:
    """New York in winter and in summer; Sao Paulo on the day that had no midnight."""
    commit = small(zone="America/New_York")
    assert boundary(commit, 1) == at("2026-01-01T05:00")
    assert boundary(commit, 2) == at("2026-04-01T04:00")
    skipped = small(zone="America/Sao_Paulo", starts_on=date(2018, 11, 4))
    assert boundary(skipped, 1) == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_usage_belongs_to_the_quarter_in_which_it_occurred() -> None:
    """Half-open: the boundary itself is the next quarter's."""
    world = tell(
        small(),
        spend("2026-03-31T23:59:59.999", "1", "a"),
        spend("2026-04-01", "2", "b"),
        until="2026-04-02",
    )
    assert [one.used for one in world.quarters("A")][:2] == [1, 2]


def test_a_quarter_closes_once_its_grace_has_passed() -> None:
    """72 hours by default."""
    assert tell(small(), until="2026-04-03T23:00").quarter("A", 1).posted is False
    assert tell(small(), until="2026-04-04").quarter("A", 1).posted is True


def test_unrated_usage_blocks_its_close_until_waived() -> None:
    """It is never dropped and never priced at zero."""
    use = spend("2026-02-01", "10", "x", model="unknown")
    assert tell(small(), use, until="2026-06-01").quarter("A", 1).posted is False
    waive = Waive(at=at("2026-05-01"), customer="acme", id="x")
    world = tell(small(), use, waive, until="2026-06-01")
    assert world.quarter("A", 1).posted is True
    assert world.quarter("A", 1).used == 0
