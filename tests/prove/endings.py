"""Stories about the end of a contract, told to both sides by name: what comes after it, what is
given back, who is billed for what nobody was billed for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

from tests.oracle.cast import at, small, spend
from tests.oracle.happenings import (
    ApproveTrueUp,
    Credit,
    Happening,
    Pay,
    Reissue,
    RequestTrueUp,
    Sign,
    TakeBack,
    Void,
    VoidInvoice,
)
from tests.oracle.terms import Commit, EndKind, Rollover
from tests.prove.stories import MONTHLY, Story, signed, until


def void(target: str, when: str) -> Void:
    """An event is taken back."""
    return Void(at=at(when), customer="acme", id=f"v{target}", target_id=target)


def late(when: str, dollars: str, name: str, arrives: str) -> list[Happening]:
    """Usage that arrives long after it occurred, and the day after that."""
    return [spend(when, dollars, name, arrives=arrives), until(f"{arrives}T23:00")]


def instalments(*amounts: str, **terms: Any) -> Commit:
    """A commit whose instalments differ."""
    exact = tuple(map(Fraction, amounts))
    return replace(small("0", len(amounts), **terms), instalments=exact)


def after(end: EndKind) -> Story:
    """Late usage and voids after the end, one by one."""
    return [
        *signed(small("100", 2, end=end)),
        spend("2026-02-01", "60.003", "a"), spend("2026-05-01", "20.004", "b"),
        until("2027-11-01"), *late("2026-02-02", "30", "c", "2027-11-02"),
        void("a", "2027-11-04"), until("2027-11-05"),
        *late("2026-05-02", "200", "d", "2027-11-06"), void("d", "2027-11-08"),
        until("2027-11-09"), *late("2026-02-02", "3", "e", "2027-11-10"), until("2027-11-12"),
    ]  # fmt: skip


def with_notes(end: EndKind) -> Story:
    """Credits, overage given back and credit notes by hand, then the end."""
    return [
        *signed(small("100", 2, end=end)),
        Credit(at=at("2026-01-05"), commit="A", key="c", amount=Fraction(5), rolls_over=True),
        spend("2026-02-01", "130.003", "a"), spend("2026-02-03", "9", "b"), until("2026-04-05"),
        void("b", "2026-04-06"),
        TakeBack(at=at("2026-04-07"), invoice=1, cents=1000, usage=False),
        TakeBack(at=at("2026-04-07"), invoice=2, cents=200, usage=True), until("2026-04-09"),
        spend("2026-05-01", "95", "x"), *late("2026-01-09", "4", "y", "2026-05-02"),
        until("2026-07-05"), Pay(at=at("2026-07-05"), invoice=1), void("x", "2026-08-01"),
        until("2027-02-01"), void("a", "2027-02-01"), until("2027-02-03"),
    ]  # fmt: skip


def with_void_invoices(end: EndKind) -> Story:
    """Invoices voided before the end and issued again after it."""
    return [
        *signed(small("100", 1, end=end)), spend("2026-02-01", "130.003", "a"),
        VoidInvoice(at=at("2026-02-02"), invoice=1), until("2026-04-05"),
        VoidInvoice(at=at("2026-04-05"), invoice=2), void("a", "2026-04-06"),
        until("2027-01-05"), Reissue(at=at("2027-01-05"), invoice=1), until("2027-01-07"),
        Reissue(at=at("2027-01-07"), invoice=2), until("2027-01-09"),
        *late("2026-02-01", "13", "b", "2027-01-09"), until("2027-01-12"),
    ]  # fmt: skip


def renewed(end: EndKind) -> Story:
    """A renewal with other limits, and late usage across it."""
    limited = Rollover(fraction=Fraction("0.33333333"), cap=Fraction(7))
    second = small("50", 2, key="B", starts_on=date(2026, 4, 1), end=end,
                   rollover=Rollover(max_times=1))  # fmt: skip
    return [
        *signed(small("100", 1, end=end, rollover=limited)), spend("2026-02-01", "60.003", "a"),
        Sign(at=at("2026-03-01"), commit=second), until("2026-04-05"),
        spend("2026-04-06", "20", "b"), *late("2026-02-02", "39", "c", "2026-05-01"),
        until("2026-07-05"), *late("2026-02-02", "30", "d", "2026-07-06"), void("b", "2026-07-08"),
        until("2026-10-05"), void("a", "2026-10-06"), until("2027-04-08"),
        *late("2026-04-07", "12", "e", "2027-04-08"), until("2027-04-10"),
    ]  # fmt: skip


NO_FIRST = instalments("0", "40", key="B", starts_on=date(2026, 4, 1))

ENDINGS: dict[str, Story] = {
    "refund, and what comes after it": after("refund"),
    "a tail that ends empty, and what comes after it": after("tail"),
    "money expires, and what was given back by hand or by rule does not": with_notes("expire"),
    "money is refunded besides what was given back before": with_notes("refund"),
    "void invoices are issued again after a refund": with_void_invoices("refund"),
    "void invoices are issued again after an empty tail": with_void_invoices("tail"),
    "a renewal with limits, refunded": renewed("refund"),
    "a renewal with limits and a tail": renewed("tail"),
    "a true-up is billed now on the first quarter of a successor without instalment": [
        *signed(small("100", 1)), Sign(at=at("2026-02-01"), commit=NO_FIRST),
        RequestTrueUp(
            at=at("2026-02-02"), commit="B", key="t", amount=Fraction(7), from_quarter=1,
            through_quarter=2, bill_now=True,
        ),
        ApproveTrueUp(at=at("2026-02-03"), key="t"), until("2026-04-05"),
        spend("2026-04-06", "9", "a"), until("2027-05-01"),
    ],
    "a monthly customer has overage given back, and signs": [
        *signed(MONTHLY), spend("2026-01-10", "40", "a"), spend("2026-01-11", "3", "aa"),
        until("2026-02-05"), void("a", "2026-02-06"), spend("2026-02-07", "5", "b"),
        Sign(at=at("2026-02-08"), commit=small("100", 1, key="B", starts_on=date(2026, 2, 20))),
        until("2026-03-01"), *late("2026-01-10", "7", "c", "2026-03-01"), until("2026-03-03"),
        void("b", "2026-03-03"), until("2026-03-06"),
    ],
    "late usage is booked in a month that a commit then takes away": [
        *signed(MONTHLY), spend("2026-01-10", "6.004", "a"), until("2026-02-05"),
        spend("2026-01-11", "2.3", "b", arrives="2026-02-05T01:00"),
        Sign(
            at=at("2026-02-05T02:00"),
            commit=small("100", 1, key="B", starts_on=date(2026, 2, 1)),
        ),
        until("2026-02-07"), void("a", "2026-02-07"), until("2026-02-09"),
    ],
    "a credit cuts a quarter that has ended": [
        *signed(small("100", 1, end="refund")),
        Credit(
            at=at("2026-01-05"), commit="A", key="c", amount=Fraction(10),
            expires_at=at("2026-02-01"),
        ),
        spend("2026-01-20", "4", "a"), spend("2026-02-20", "50", "b"), until("2026-04-05"),
        *late("2026-01-21", "5", "d", "2026-04-06"), void("a", "2026-04-08"), until("2026-04-09"),
        *late("2026-02-21", "100", "e", "2026-04-10"), until("2026-04-12"),
    ],
    "a successor signed in the tail, refunds by hand, then the end": [
        *signed(small("100", 1)), spend("2026-02-01", "20", "a"), until("2026-05-01"),
        Sign(
            at=at("2026-05-01"),
            commit=small("30", 1, key="B", starts_on=date(2026, 10, 1), end="refund"),
        ),
        TakeBack(at=at("2026-05-02"), invoice=1, cents=1500, usage=False), until("2026-11-01"),
        *late("2026-02-03", "70", "b", "2026-11-01"),
        TakeBack(at=at("2026-11-03"), invoice=2, cents=3000, usage=False), until("2027-01-06"),
        *late("2026-10-03", "9", "c", "2027-01-07"), void("b", "2027-01-09"), until("2027-01-11"),
    ],
    "instalments below the minimum around one that is billed": [
        *signed(instalments("0.20", "60", "0.30", end="refund")), spend("2026-05-01", "0.1", "a"),
        until("2026-10-05"), *late("2026-05-01", "0.15", "b", "2026-10-06"), until("2026-10-09"),
        *late("2026-05-01", "70", "c", "2026-10-09"), until("2026-10-12"),
    ],
}  # fmt: skip
