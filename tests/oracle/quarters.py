"""Quarters: where a commit's quarters begin and end, and which of them a chain has."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from .terms import Commit

Leftover: TypeAlias = Literal["roll", "expire", "refund"]
SlotKey: TypeAlias = tuple[str, int]


@dataclass(frozen=True)
class Slot:
    """One quarter of one commit, `[start, end)`, in its place in a chain of commits.

    `leftover` says what its close does with unused money; `last` that by the terms nothing
    follows it in the chain.
    """

    commit: Commit
    index: int
    start: datetime
    end: datetime
    leftover: Leftover
    last: bool

    @property
    def key(self) -> SlotKey:
        """(commit key, quarter counted from 1)."""
        return (self.commit.key, self.index)

    @property
    def in_term(self) -> bool:
        """True for a quarter that has an instalment."""
        return self.commit.quarters is not None and self.index <= self.commit.quarters

    @property
    def in_tail(self) -> bool:
        """True for a quarter after the term of a signed commit."""
        return self.commit.quarters is not None and self.index > self.commit.quarters


def months_later(day: date, months: int) -> date:
    """The same day of a later month, clamped to that month's end."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


@cache
def first_instant(day: date, zone: str) -> datetime:
    """The first instant of a date in a zone, in UTC.

    With `fold=0` a midnight that is skipped maps to the transition, and one that comes twice
    to its first coming: both are the first instant of the date.
    """
    return datetime.combine(day, time(0), tzinfo=ZoneInfo(zone)).astimezone(UTC)


def boundary(commit: Commit, index: int) -> datetime:
    """The start of quarter `index` (from 1): always counted from the original start date."""
    months = (index - 1) * commit.period_months
    return first_instant(months_later(commit.starts_on, months), commit.zone)


def quarter_starting(commit: Commit, instant: datetime) -> int | None:
    """The index of the quarter that starts exactly at an instant, if there is one."""
    index = 1
    while boundary(commit, index) < instant:
        index += 1
    return index if boundary(commit, index) == instant else None


def _leftover(commit: Commit, index: int, followed: bool) -> Leftover:
    """What a close does with unused money: it rolls, unless the end of the commit says else.

    Every kind of end yields to a signed successor. `tail` with N quarters lets what is left
    after the N-th lapse, `expire` and `refund` settle at the end of the term or of N tail
    quarters.
    """
    if followed or commit.quarters is None:
        return "roll"
    if commit.end in ("tail", "renewal"):
        return "expire" if index == commit.last_index else "roll"
    settled_at = commit.quarters + (commit.end_quarters or 0)
    if index < settled_at:
        return "roll"
    return "refund" if commit.end == "refund" else "expire"


def slots_of(
    commits: list[Commit],
    ended: SlotKey | None,
    horizon: datetime,
    cut_at: datetime | None = None,
) -> list[Slot]:
    """All quarters of a chain of commits, in order; none at or after `cut_at`.

    The whole term and the first tail quarter always exist; quarters without a natural end
    exist as far as `horizon`, and none after `ended`.
    """
    found: list[Slot] = []
    for place, commit in enumerate(commits):
        succeeded = place + 1 < len(commits)
        cut = boundary(commits[place + 1], 1) if succeeded else cut_at
        certain = 1 if commit.quarters is None else commit.quarters + 1
        index = 0
        while True:
            index += 1
            start, end = boundary(commit, index), boundary(commit, index + 1)
            if cut is not None and start >= cut:
                break
            if commit.last_index is not None and index > commit.last_index:
                break
            if not (cut and succeeded) and index > certain and start > horizon:
                break
            reaches = cut is not None and end >= cut
            followed = reaches and succeeded
            last = (index == commit.last_index or reaches) and not followed
            found.append(
                Slot(
                    commit,
                    index,
                    start,
                    min(end, cut) if cut else end,
                    _leftover(commit, index, followed),
                    last,
                )
            )
            if found[-1].key == ended:
                return found
    return found
