"""The end in the pure chain: what is kept for a refund, and money that is not called back."""

from decimal import Decimal as D

from commits.domain.chain import (
    Grant,
    GrantKind,
    QuarterFigures,
    QuarterInput,
    Settlement,
    UsageSlice,
    run_chain,
)
from commits.domain.close import BillKind, EarlierQuarter, plan_adjustment, refundable_cents
from commits.domain.policies import RolloverPolicy


def quarter(
    index: int,
    used: str,
    *grants: Grant,
    settlement: Settlement = Settlement.ROLL,
    refunded: str = "0",
    policy: RolloverPolicy | None = None,
) -> QuarterInput:
    return QuarterInput(
        index=index,
        grants=grants,
        usage=(UsageSlice(D(used)),),
        policy=policy or RolloverPolicy(),
        settlement=settlement,
        closed=True,
        refunded=D(refunded),
    )


def instalment(index: int, amount: str = "100") -> Grant:
    return Grant(f"i{index}", GrantKind.INSTALMENT, D(amount), created=index)


CREDIT = Grant("c", GrantKind.CREDIT, D(5), created=8, paid=False)
GIVEN_BACK = Grant("g", GrantKind.CREDIT, D(7), created=9, rolls_whole=True)


def sound(figures: QuarterFigures) -> bool:
    """Every grant is accounted for, and used = drawn + overage."""
    parts = all(
        item.grant.amount == item.drawn + item.rolled_out + item.broken + item.returned
        for item in figures.grants
    )
    return parts and figures.used == figures.drawn + figures.overage


def test_paid_money_is_kept_whatever_fraction_and_cap_say() -> None:
    closing = quarter(
        1, "30.001", instalment(1), CREDIT, GIVEN_BACK,
        settlement=Settlement.REFUND, policy=RolloverPolicy(D(0), D(0), 0),
    )  # fmt: skip
    (figures,) = run_chain([closing])
    assert (figures.rolled_out, figures.breakage_paid, figures.breakage_credit) == (
        D(0),
        D(0),
        D(5),
    )
    assert figures.kept == D("76.999")
    assert refundable_cents(figures.kept) == 7_699
    assert figures.available == 0
    assert sound(figures)


def test_overage_given_back_is_kept_also_where_the_rest_expires() -> None:
    closing = quarter(1, "30", instalment(1), CREDIT, GIVEN_BACK, settlement=Settlement.EXPIRE)
    (figures,) = run_chain([closing])
    assert (figures.kept, figures.breakage_paid, figures.breakage_credit) == (D(7), D(70), D(5))


def test_what_a_void_frees_after_an_empty_tail_is_kept_by_the_rules_of_rolling() -> None:
    closing = quarter(
        1, "30", instalment(1), settlement=Settlement.RETURN, policy=RolloverPolicy(D("0.5"))
    )
    (figures,) = run_chain([closing])
    assert (figures.kept, figures.rolled_out, figures.breakage_paid) == (D(35), D(0), D(35))


def test_refunded_money_is_gone_before_usage_draws() -> None:
    closing = quarter(1, "40", instalment(1), settlement=Settlement.REFUND, refunded="70")
    (figures,) = run_chain([closing])
    assert (figures.drawn, figures.overage, figures.kept) == (D(30), D(10), D(0))
    assert sound(figures)


def test_late_usage_of_an_earlier_quarter_is_overage_where_its_money_was_refunded() -> None:
    """100 rolled on and was refunded with the 100 of Q2: 10 of Q1's usage has nothing left."""
    first, second = run_chain(
        [
            quarter(1, "10", instalment(1)),
            quarter(2, "0", instalment(2), settlement=Settlement.REFUND, refunded="200"),
        ]
    )
    assert (first.drawn, first.rolled_out) == (D(10), D(90))
    assert (second.drawn, second.overage, second.kept) == (D(-10), D(10), D(0))
    assert first.drawn + second.drawn == 0


def test_the_cent_that_a_refund_left_is_drawn_first() -> None:
    closing = quarter(1, "30.009", instalment(1), settlement=Settlement.REFUND, refunded="69.99")
    (figures,) = run_chain([closing])
    assert figures.overage == 0
    assert figures.kept == D("0.001")


def earlier(position: int, closed: str, billed: int, back: str = "0") -> EarlierQuarter:
    return EarlierQuarter(position, D(closed), D(back), billed, 0)


def test_an_adjustment_bills_what_came_late_and_nothing_below_the_minimum() -> None:
    quarters = (earlier(1, "30.004", 3_000), earlier(2, "0", 0))
    (line,) = plan_adjustment(earlier=quarters, overage=D("40.004"), minimum_cents=50)
    assert (line.kind, line.position, line.cents) == (BillKind.LATE_USAGE, 2, 1_000)
    assert plan_adjustment(earlier=quarters, overage=D("30.4"), minimum_cents=50) == ()
    assert plan_adjustment(earlier=quarters, overage=D("30.004"), minimum_cents=0) == ()
    credited = (earlier(1, "30.004", 3_000, "20"), earlier(2, "0", 0))
    (line,) = plan_adjustment(earlier=credited, overage=D("15.004"), minimum_cents=50)
    assert line.cents == 500
