"""Stories of closes that wait for a human, of locked months, and of two customers at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

from tests.oracle.cast import at, small, spend
from tests.oracle.happenings import (
    ApproveClose,
    Correct,
    Happening,
    LockMonth,
    Sign,
    Tax,
    UnlockMonth,
    Use,
    Void,
)
from tests.oracle.terms import Commit
from tests.prove.stories import Story, signed, until


def approved(when: str, quarter: int, *meanwhile: Use | Void, commit: str = "A") -> ApproveClose:
    """A human approves, and something arrives before the post."""
    return ApproveClose(at=at(when), commit=commit, quarter=quarter, meanwhile=meanwhile)


def void(target: str, when: str) -> Void:
    """An event is taken back."""
    return Void(at=at(when), customer="acme", id=f"v{target}", target_id=target)


def held(amount: str, quarters: int = 2, limit: str | None = None, **terms: Any) -> Commit:
    """A commit whose closes need a human, all or above a limit."""
    most = None if limit is None else Fraction(limit)
    return replace(small(amount, quarters, **terms), max_overage=most)


def of_bolt(event: Use) -> Use:
    """The same of another customer, under the same id."""
    return replace(event, customer="bolt")


BOLT = replace(small("50", 1), key="B", customer="bolt", starts_on=date(2026, 1, 15))
BOTH: list[Happening] = [*signed(small("100", 2)), Sign(at=at("2025-12-21"), commit=BOLT)]

APPROVALS: dict[str, Story] = {
    "a close waits for its human while the next quarter runs": [
        *signed(held("100")), spend("2026-01-10", "130", "a"), until("2026-05-01"),
        spend("2026-05-01", "20", "b"), approved("2026-05-02", 1), until("2026-05-10"),
        spend("2026-01-11", "5", "c", arrives="2026-05-10"), until("2026-07-10"),
        approved("2026-07-10", 2), until("2026-07-12"),
    ],
    "usage between approval and post is late, and so is a void": [
        *signed(held("100", 3)), spend("2026-01-10", "130", "a"), spend("2026-01-11", "9", "b"),
        until("2026-04-05"),
        approved(
            "2026-04-05", 1, void("b", "2026-04-05"),
            spend("2026-01-12", "4", "c", arrives="2026-04-05"),
            spend("2026-04-02", "7", "d", arrives="2026-04-05"),
        ),
        until("2026-07-10"), approved("2026-07-10", 2, void("a", "2026-07-10")),
        until("2026-10-10"), approved("2026-10-10", 3), until("2026-10-12"),
    ],
    "usage comes between the approval and the post of the last quarter": [
        *signed(held("100", 1, end="refund")), spend("2026-01-10", "60.003", "a"),
        until("2026-04-05"),
        approved("2026-04-05", 1, spend("2026-01-12", "50", "c", arrives="2026-04-05")),
        until("2026-04-08"),
    ],
    "late usage puts an invoice over the limit": [
        *signed(held("100", 3, "10")), spend("2026-01-10", "105", "a"), until("2026-04-05"),
        spend("2026-01-11", "8", "b", arrives="2026-04-06"), spend("2026-04-07", "103", "c"),
        until("2026-07-10"), approved("2026-07-10", 2), until("2026-10-10"),
    ],
    "finance corrects what an approved close has billed": [
        *signed(held("100", 2, "10")), spend("2026-01-10", "150", "a"), until("2026-04-05"),
        approved("2026-04-05", 1),
        Correct(
            at=at("2026-04-06"), customer="acme", target_id="a",
            instead=spend("2026-01-10", "120", "b", arrives="2026-04-06"),
        ),
        Correct(at=at("2026-04-07"), customer="acme", target_id="a"), until("2026-07-10"),
    ],
    "late usage of locked months, and of unlocked ones": [
        *signed(small("100", 2)), spend("2026-01-10", "60", "a"), until("2026-02-03"),
        LockMonth(at=at("2026-02-03"), month=date(2026, 1, 1)),
        spend("2026-01-31", "5", "b", arrives="2026-02-03"), until("2026-05-03"),
        *[LockMonth(at=at("2026-05-03"), month=date(2026, month, 1)) for month in (2, 3, 4)],
        spend("2026-01-31", "50", "c", arrives="2026-05-03"), until("2026-05-04"),
        UnlockMonth(at=at("2026-05-04"), month=date(2026, 4, 1)), void("a", "2026-05-05"),
        until("2026-07-08"),
    ],
    "two customers do not touch each other": [
        *BOTH, spend("2026-01-20", "130", "a"), of_bolt(spend("2026-01-20", "7", "a")),
        void("a", "2026-02-01"), until("2026-04-20"), of_bolt(spend("2026-04-21", "70", "c")),
        spend("2026-04-22", "20", "c"), until("2026-10-20"),
    ],
    "tax is put on top, given back and given up with its invoice": [
        Tax(at=at("2025-12-01"), share=Fraction("0.0825")),
        *signed(small("100", 2)), spend("2026-01-10", "130", "a"), until("2026-04-05"),
        void("a", "2026-04-06"), until("2026-07-10"),
    ],
}  # fmt: skip
