"""Stories that random contracts meet too rarely: told to both sides by name.

`OPEN` are those in which the books are known to differ today; `make prove` tells and counts them.
"""

from __future__ import annotations

from datetime import date
from fractions import Fraction

from tests.oracle.cast import at, price, small, spend, unit_price
from tests.oracle.happenings import (
    AddPrice,
    AddPrivatePrice,
    Advance,
    ApproveTrueUp,
    Happening,
    RequestTrueUp,
    Sign,
    Use,
    Void,
)
from tests.oracle.terms import Commit

Story = list[Happening]


def signed(commit: Commit, when: str = "2025-12-20") -> Story:
    """The list price and a commit."""
    return [unit_price(), Sign(at=at(when), commit=commit)]


def priced(when: str) -> AddPrice:
    """The price of a model that was used before it had one."""
    return AddPrice(
        at=at(when), price=price("n", "serverless", "units", "0.00000125", "2025-01-01")
    )


def private(when: str, amount: str, since: str = "2025-01-01", model: str = "n") -> AddPrivatePrice:
    """A price that this customer alone sees."""
    added = price(model, "serverless", "units", amount, since)
    return AddPrivatePrice(at=at(when), customer="acme", price=added)


def true_up(key: str, when: str, discount: str | None = None) -> RequestTrueUp:
    """5 more a quarter, perhaps at a better discount."""
    better = None if discount is None else Fraction(discount)
    return RequestTrueUp(at=at(when), commit="A", key=key, amount=Fraction(5), discount=better)


def until(when: str) -> Advance:
    """Time passes."""
    return Advance(at=at(when))


PLAIN = small("100", 2)
MONTHLY = Commit(
    key="U", customer="acme", starts_on=date(2026, 1, 1), quarters=None, period_months=1
)
EARLY = Use(
    at=at("2026-01-05T10:58"), customer="acme", id="f", occurred_at=at("2026-01-05T11:01"),
    model="m", quantities=(("units", 1_000_000),),
)  # fmt: skip

STORIES: dict[str, Story] = {
    "an uncommitted period is cut behind usage that it had": [
        *signed(MONTHLY),
        spend("2026-02-10", "6", "b"),
        Sign(
            at=at("2026-02-10T01:00"),
            commit=small("100", 1, key="B", starts_on=date(2026, 2, 10)),
        ),
        until("2026-03-01"),
    ],
    "a commit is signed for the middle of a period that is not open yet": [
        *signed(MONTHLY),
        Sign(
            at=at("2026-01-02"), commit=small("100", 1, key="B", starts_on=date(2026, 3, 10)),
        ),
        until("2026-03-02"), spend("2026-03-02", "5", "b"), until("2026-03-20"),
        spend("2026-03-15", "7", "c", arrives="2026-03-20"), until("2026-07-20"),
    ],
    "usage comes late where a late void had been credited after the end": [
        *signed(small("100", 1)), spend("2026-01-10", "110", "a"), spend("2026-01-11", "20", "b"),
        until("2026-08-01"), Void(at=at("2026-08-01"), customer="acme", id="v", target_id="b"),
        until("2026-08-03"), spend("2026-01-12", "15", "c", arrives="2026-08-03"),
        until("2026-08-05"), spend("2026-01-12", "5", "d", arrives="2026-08-05"),
        until("2026-08-07"),
    ],
    "usage comes late where a late void had been given back": [
        *signed(small("100", 4)), spend("2026-01-10", "110", "a"), spend("2026-01-11", "20", "b"),
        until("2026-05-01"), Void(at=at("2026-05-01"), customer="acme", id="v", target_id="b"),
        until("2026-08-03"), spend("2026-01-12", "15", "c", arrives="2026-08-03"),
        until("2026-10-05"),
    ],
    "an invoiced month without a promise is voided": [
        *signed(MONTHLY), spend("2026-01-10", "6.004", "b"), until("2026-02-05"),
        Void(at=at("2026-02-06"), customer="acme", id="v", target_id="b"), until("2026-03-06"),
    ],
    "a commit signed late covers the usage before": [
        *signed(small("10", 1, key="Z", starts_on=date(2025, 1, 1), end="expire")),
        spend("2026-01-05", "5", "a"), Sign(at=at("2026-01-10"), commit=PLAIN),
    ],
    "two better discounts of one hour": [
        *signed(PLAIN), true_up("x", "2026-01-05", "0.3"), true_up("y", "2026-01-05", "0.4"),
        ApproveTrueUp(at=at("2026-01-06T00:10"), key="y"),
        ApproveTrueUp(at=at("2026-01-06T00:20"), key="x"), spend("2026-01-07", "5", "a"),
    ],
    "usage from a clock that goes fast is rated anew by a better discount": [
        *signed(PLAIN), true_up("x", "2026-01-05", "0.3"), EARLY, until("2026-01-05T10:58"),
        ApproveTrueUp(at=at("2026-01-05T10:59"), key="x"), until("2026-01-07"),
    ],
    "an instalment under Stripe's minimum grows by a true-up": [
        *signed(small("0.30", 2)), true_up("x", "2026-01-05"),
        ApproveTrueUp(at=at("2026-01-06"), key="x"), until("2026-05-07"),
    ],
    "a list price rates what waited in an open quarter": [
        *signed(PLAIN), spend("2026-01-05", "5", "a", model="n"), until("2026-01-10"),
        priced("2026-01-11"),
    ],
    "a list price rates what waited of a posted quarter": [
        *signed(PLAIN), until("2026-05-10"),
        spend("2026-01-05", "5", "a", arrives="2026-05-11", model="n"), until("2026-05-12"),
        priced("2026-05-13"), until("2026-05-14"),
    ],
    "private prices in mid-contract": [
        *signed(PLAIN), spend("2026-01-05", "5", "a", model="n"),
        private("2026-01-06", "0.00000125"), spend("2026-01-07", "3", "b"),
        private("2026-01-08", "0.000001", "2026-02-01", "m"), priced("2026-01-09"),
        spend("2026-02-02", "3", "c"), spend("2026-02-02", "2", "d", model="n"),
        private("2026-02-03", "9", "2026-03-01", "m"), spend("2026-03-02", "4", "e"),
        until("2026-05-07"),
    ],
    "an uncommitted customer signs for the end of a posted month": [
        *signed(MONTHLY), spend("2026-01-10", "6.004", "b"), until("2026-02-05"),
        Sign(at=at("2026-02-05"), commit=small("100", 1, key="B", starts_on=date(2026, 2, 1))),
        until("2026-03-01"),
    ],
    "instalments under Stripe's minimum to the end": [
        *signed(small("0.20", 2, end="expire")), until("2027-05-07"),
    ],
}  # fmt: skip

OPEN: dict[str, Story] = {}
