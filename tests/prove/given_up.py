"""Stories of invoices that nobody pays, told to both sides by name."""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from tests.oracle.cast import at, small, spend
from tests.oracle.happenings import (
    ApproveTrueUp,
    Happening,
    Pay,
    Reissue,
    RequestTrueUp,
    Sign,
    Uncollectible,
    Void,
    VoidInvoice,
    WriteOff,
)
from tests.oracle.terms import Rollover
from tests.prove.stories import MONTHLY, Story, signed, until


def written_off(*invoices: int, when: str) -> list[Happening]:
    """Voided, and given up."""
    return [
        happening
        for number in invoices
        for happening in (
            VoidInvoice(at=at(when), invoice=number),
            WriteOff(at=at(when), invoice=number),
        )
    ]


RENEWAL = small(
    "50", 1, key="B", starts_on=date(2026, 4, 1), end="refund", rollover=Rollover(cap=Fraction(30))
)

GIVEN_UP: dict[str, Story] = {
    "money that has rolled on twice is withdrawn where it is": [
        *signed(small("100", 3)), spend("2026-01-10", "20.004", "a"), until("2026-07-05"),
        *written_off(1, when="2026-07-05"), spend("2026-07-06", "250", "b"), until("2027-01-05"),
    ],
    "two are given up, and what is used afterwards is overage": [
        *signed(small("100", 2)), spend("2026-01-10", "60", "a"), until("2026-04-05"),
        *written_off(1, 2, when="2026-04-05"), spend("2026-04-06", "5", "b"),
        until("2026-12-05"),
    ],
    "what a late void frees of it is balance": [
        *signed(small("100", 2)), spend("2026-01-10", "120", "a"), spend("2026-01-11", "3", "b"),
        until("2026-04-05"), *written_off(1, 2, when="2026-04-05"),
        Void(at=at("2026-04-06"), customer="acme", id="v", target_id="a"), until("2026-12-05"),
    ],
    "late usage that it missed is billed": [
        *signed(small("100", 2)), until("2026-04-05"), *written_off(1, when="2026-04-05"),
        spend("2026-01-11", "30", "a", arrives="2026-04-06"), until("2026-12-05"),
    ],
    "money kept for a refund is given up at the end": [
        *signed(small("100", 1, end="refund")), spend("2026-01-10", "30.003", "a"),
        VoidInvoice(at=at("2026-02-10"), invoice=1), until("2026-04-05"),
        WriteOff(at=at("2026-04-06"), invoice=1), until("2026-05-05"),
        spend("2026-01-11", "3", "b", arrives="2026-05-05"), until("2026-05-07"),
    ],
    "a true-up billed now is given up, and not issued again": [
        *signed(small("100", 2)),
        RequestTrueUp(
            at=at("2026-01-05"), commit="A", key="t", amount=Fraction(20), through_quarter=1,
            bill_now=True,
        ),
        ApproveTrueUp(at=at("2026-01-06"), key="t"), spend("2026-01-10", "110", "a"),
        *written_off(2, when="2026-01-20"), Reissue(at=at("2026-01-21"), invoice=2),
        until("2026-12-05"),
    ],
    "money that rolled into a renewal is withdrawn there": [
        *signed(small("100", 1)), spend("2026-01-10", "60.003", "a"),
        Sign(at=at("2026-03-01"), commit=RENEWAL), until("2026-04-05"),
        *written_off(1, when="2026-04-05"), spend("2026-04-06", "55", "b"),
        spend("2026-01-11", "9", "c", arrives="2026-04-07"), until("2026-07-05"),
        *written_off(2, when="2026-07-06"), until("2026-10-10"),
        Void(at=at("2026-10-10"), customer="acme", id="v", target_id="a"), until("2026-10-12"),
    ],
    "a month of usage is given up, and corrected later": [
        *signed(MONTHLY), spend("2026-01-10", "6.004", "b"), until("2026-02-05"),
        *written_off(1, when="2026-02-06"), spend("2026-02-07", "3", "c"),
        Void(at=at("2026-02-08"), customer="acme", id="v", target_id="b"), until("2026-04-06"),
    ],
    "nobody pays, and then somebody does": [
        *signed(small("100", 2)), spend("2026-01-10", "130", "a"), until("2026-04-05"),
        Uncollectible(at=at("2026-04-05"), invoice=2), spend("2026-04-06", "10", "b"),
        Pay(at=at("2026-05-01"), invoice=2), until("2026-12-05"),
    ],
    "nobody pays, and it is given up for good": [
        *signed(small("100", 2)), spend("2026-01-10", "130", "a"), until("2026-04-05"),
        Uncollectible(at=at("2026-04-05"), invoice=2), spend("2026-04-06", "10", "b"),
        *written_off(2, when="2026-05-01"), until("2026-12-05"),
    ],
}  # fmt: skip
