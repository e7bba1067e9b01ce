"""Quarters from Nov 30 and from Feb 29, in zones whose clocks change: where usage belongs."""

import pytest

from commits.models import Commit
from tests.scenarios.telling import Telling, begin

pytestmark = pytest.mark.django_db


def starts(commit: Commit) -> list[str]:
    """The first instants of the quarters, in UTC."""
    return [f"{one.starts_at:%Y-%m-%d %H:%M}" for one in commit.quarters.order_by("index")]


def use_around(story: Telling, last_of_q1: str, first_of_q2: str) -> None:
    """7 in the last microsecond of Q1, 5 in the first instant of Q2."""
    story.until(first_of_q2)
    story.uses("7", last_of_q1)
    story.uses("5", first_of_q2)


BOOKS = """
    account               debit  credit
    accounts_receivable  100.00       -
    deferred_revenue_Q1       -   93.00
    deferred_revenue_Q2    5.00       -
    usage_revenue             -   12.00
    sum                  105.00  105.00
"""


def test_from_november_30_in_new_york() -> None:
    story = begin("2025-11-01", zone="America/New_York")
    commit = story.signs("100", "100", "100", "100", starts_on="2025-11-30")
    assert starts(commit) == [
        "2025-11-30 05:00",
        "2026-02-28 05:00",
        "2026-05-30 04:00",
        "2026-08-30 04:00",
        "2026-11-30 05:00",
    ]
    use_around(story, "2026-02-28T04:59:59.999999", "2026-02-28T05:00")
    story.shows_books(BOOKS)  # Q2 is drawn before it is invoiced: a contract asset of 5


def test_from_february_29_on_lord_howe_where_summer_is_half_an_hour() -> None:
    story = begin("2024-02-01", zone="Australia/Lord_Howe")
    commit = story.signs("100", "100", "100", "100", starts_on="2024-02-29")
    assert starts(commit) == [
        "2024-02-28 13:00",
        "2024-05-28 13:30",
        "2024-08-28 13:30",
        "2024-11-28 13:00",
        "2025-02-27 13:00",
    ]
    use_around(story, "2024-05-28T13:29:59.999999", "2024-05-28T13:30")
    story.shows_books(BOOKS)
