"""Quarter boundaries come from the original start date, in the contract's zone."""

from datetime import UTC, date, datetime
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from commits.domain.periods import add_months, boundary, first_instant


def boundaries(start: date, zone: str = "UTC", count: int = 5) -> list[str]:
    return [boundary(start, zone, number).strftime("%Y-%m-%d") for number in range(count)]


def test_a_start_on_the_30th_is_clamped_once_not_for_ever() -> None:
    assert boundaries(date(2025, 11, 30)) == [
        "2025-11-30",
        "2026-02-28",
        "2026-05-30",
        "2026-08-30",
        "2026-11-30",
    ]


def test_leap_years() -> None:
    assert boundaries(date(2023, 11, 30))[1] == "2024-02-29"
    assert boundaries(date(2024, 2, 29))[4] == "2025-02-28"
    assert boundaries(date(2026, 8, 31), count=4) == [
        "2026-08-31",
        "2026-11-30",
        "2027-02-28",
        "2027-05-31",
    ]


def test_a_boundary_is_the_first_instant_of_the_local_date() -> None:
    assert first_instant(date(2026, 1, 1), "Asia/Kolkata") == datetime(
        2025, 12, 31, 18, 30, tzinfo=UTC
    )


def test_a_midnight_that_does_not_exist_begins_at_the_end_of_the_gap() -> None:
    # In Beirut the clocks went from 00:00 to 01:00 on 2024-03-31.
    assert first_instant(date(2024, 3, 31), "Asia/Beirut") == datetime(
        2024, 3, 30, 22, 0, tzinfo=UTC
    )


zones = st.sampled_from(
    [
        "UTC",
        "America/New_York",
        "Asia/Kolkata",
        "Asia/Beirut",
        "America/Sao_Paulo",
        "Pacific/Apia",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "America/Havana",
    ]
)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), zones, st.sampled_from([1, 3]))
def test_periods_tile_the_term_in_every_zone(start: date, zone: str, months: int) -> None:
    instants = [boundary(start, zone, number, months) for number in range(14)]
    assert all(before < after for before, after in pairwise(instants))
    assert add_months(start, 12).month == start.month
