"""Quarter boundaries: counted from the original start date, in the contract's time zone.

A commit that starts on Nov 30 has quarters from Nov 30, Feb 28, May 30, Aug 30, never May 28:
every boundary is the start date plus a whole number of months, clamped to the month's end, so
that clamping once does not move what follows. A boundary is the first instant of its date in the
contract's zone; midnight may not exist there on a day when clocks go forward.
"""

import calendar
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def add_months(start: date, months: int) -> date:
    """`start` plus calendar months, clamped to the end of the month it lands in."""
    years, month0 = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month0 + 1
    return date(year, month, min(start.day, calendar.monthrange(year, month)[1]))


def first_instant(day: date, zone: str) -> datetime:
    """The first instant of a local date, in UTC.

    Where midnight falls into a gap the day begins at the end of the gap; where it happens twice
    the first one counts.
    """
    tz = ZoneInfo(zone)
    candidate = datetime.combine(day, time.min, tzinfo=tz).astimezone(UTC)
    if candidate.astimezone(tz).date() == day:
        return candidate
    # Midnight does not exist: walk back from the next hours to the first instant of the date.
    probe = candidate
    while probe.astimezone(tz).date() != day:
        probe += timedelta(minutes=15)
    return probe


def boundary(starts_on: date, zone: str, number: int, period_months: int = 3) -> datetime:
    """The instant at which period `number` + 1 begins (0 gives the start of the first)."""
    return first_instant(add_months(starts_on, number * period_months), zone)


def period(
    starts_on: date, zone: str, index: int, period_months: int = 3
) -> tuple[datetime, datetime]:
    """`[start, end)` of the period `index`, counted from 1."""
    return (
        boundary(starts_on, zone, index - 1, period_months),
        boundary(starts_on, zone, index, period_months),
    )


def next_hour(instant: datetime) -> datetime:
    """The first whole UTC hour that is not before an instant."""
    hour = instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if hour == instant else hour + timedelta(hours=1)
