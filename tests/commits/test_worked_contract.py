"""The worked contract, on the real services: on time, and with late usage (a), (b), (c)."""

from collections.abc import Callable
from decimal import Decimal as D

import pytest

from billing.models import Customer, InvoiceLine
from commits.models import Commit, Quarter
from commits.services import closes, daily, proof
from commits.services.true_ups import TrueUpRequest, approve_true_up, request_true_up
from tests.commits.world import at, figures, trial_balance, use

pytestmark = pytest.mark.django_db(transaction=True)

Hook = Callable[[], None]


def close(when: str) -> None:
    closes.run_closes(as_of=at(when), now=at(when))
    assert proof.commit_problems() == []


def run_year(
    acme: Customer,
    commit: Commit,
    *,
    in_grace_of_q1: Hook | None = None,
    in_q2: Hook | None = None,
    in_q3: Hook | None = None,
) -> None:
    """Four quarters and the tail, with something happening on the way."""
    use(acme, "22000", "2026-02-10", now=at("2026-02-11"))
    if in_grace_of_q1:
        in_grace_of_q1()
    close("2026-04-04")
    use(acme, "41500", "2026-05-10", now=at("2026-05-11"))
    if in_q2:
        in_q2()
    close("2026-07-04")
    if in_q3:
        in_q3()
    request = TrueUpRequest(amount=D(10000), from_quarter=3, through_quarter=4)
    true_up = request_true_up(
        commit_id=commit.pk, request=request, actor="ada", now=at("2026-08-14")
    )
    approve_true_up(true_up_id=true_up.pk, actor="ben", now=at("2026-08-15"))
    use(acme, "36250.123456", "2026-09-01", now=at("2026-09-02"))
    close("2026-10-04")
    use(acme, "45000", "2026-11-01", now=at("2026-11-02"))
    close("2027-01-04")
    close("2027-04-04")
    daily.draw_down(now=at("2027-04-05"))


def invoiced(commit: Commit) -> list[tuple[str, str, int, int]]:
    """occasion, kind of line, quarter, cents of every line in the order of the invoices."""
    lines = InvoiceLine.objects.filter(invoice__commit_id=commit.pk)
    return list(
        lines.order_by("invoice__created_at", "position").values_list(
            "invoice__occasion", "kind", "quarter_index", "amount_cents"
        )
    )


def merged(rows: list[tuple[str, str, int, int]]) -> list[tuple[str, str, int, int]]:
    """Overage lines of one invoice added up: they are split over the usage groups."""
    result: list[tuple[str, str, int, int]] = []
    for row in rows:
        if result and result[-1][:3] == row[:3]:
            result[-1] = (*row[:3], result[-1][3] + row[3])
        else:
            result.append(row)
    return result


def test_everything_in_time(acme: Customer, commit: Commit) -> None:
    run_year(acme, commit)
    assert figures(commit) == [
        ("30000", "0", "22000", "0", "8000"),
        ("38000", "8000", "41500", "3500", "0"),
        ("40000", "0", "36250.123456", "0", "3749.876544"),
        ("43749.876544", "3749.876544", "45000", "1250.123456", "0"),
        ("0", "0", "0", "0", "0"),
    ]
    assert merged(invoiced(commit)) == [
        ("activation", "instalment", 1, 3_000_000),
        ("close", "instalment", 2, 3_000_000),
        ("close", "instalment", 3, 3_000_000),
        ("close", "overage", 2, 350_000),
        ("close", "instalment", 4, 4_000_000),
        ("close", "true_up", 3, 1_000_000),
        ("close", "overage", 4, 125_012),
    ]
    assert proof.commit_problems() == []
    balances = trial_balance(acme)
    assert balances["rounding"] == D("0.003456")
    assert balances["usage_revenue"] + balances["overage_revenue"] == D("-144750.123456")
    assert sum(balances.values()) == 0
    assert Commit.objects.get(pk=commit.pk).state == "ended"


def test_late_usage_inside_the_grace(acme: Customer, commit: Commit) -> None:
    def late() -> None:
        use(acme, "500", "2026-03-31T23:00", now=at("2026-04-02"))

    run_year(acme, commit, in_grace_of_q1=late)
    assert figures(commit)[:2] == [
        ("30000", "0", "22500", "0", "7500"),
        ("37500", "7500", "41500", "4000", "0"),
    ]
    assert ("close", "overage", 2, 400_000) in merged(invoiced(commit))
    assert proof.commit_problems() == []


def test_late_usage_after_the_post_with_money_left(acme: Customer, commit: Commit) -> None:
    def late() -> None:
        use(acme, "500", "2026-03-31T23:00", now=at("2026-05-15"))
        daily.draw_down(now=at("2026-05-15"))
        assert proof.commit_problems() == []
        assert Quarter.objects.get(commit=commit, index=2).booked_rolled_in == D(7500)

    run_year(acme, commit, in_q2=late)
    assert figures(commit)[:2] == [
        ("30000", "0", "22500", "0", "7500"),
        ("37500", "7500", "41500", "4000", "0"),
    ]
    assert ("close", "overage", 2, 400_000) in merged(invoiced(commit))
    assert proof.commit_problems() == []


def test_late_usage_after_its_overage_was_billed(acme: Customer, commit: Commit) -> None:
    def late() -> None:
        use(acme, "500", "2026-03-31T23:00", now=at("2026-08-01"))

    run_year(acme, commit, in_q3=late)
    assert figures(commit)[:3] == [
        ("30000", "0", "22500", "0", "7500"),
        ("37500", "7500", "41500", "4000", "0"),
        ("40000", "0", "36250.123456", "0", "3749.876544"),
    ]
    assert ("close", "late_usage", 1, 50_000) in merged(invoiced(commit))
    assert proof.commit_problems() == []
