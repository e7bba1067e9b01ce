"""The chain: draw order, rollover, and the laws that hold for any grants and usage."""

from datetime import UTC, datetime
from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from commits.domain.chain import (
    Grant,
    GrantKind,
    QuarterInput,
    Settlement,
    UsageSlice,
    draw_down,
    draw_order,
    run_chain,
)
from commits.domain.policies import RolloverPolicy

EARLY, LATER = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


def grant(ref: str, kind: GrantKind, amount: str, **options: object) -> Grant:
    return Grant(ref, kind, D(amount), **options)  # type: ignore[arg-type]


def quarter(index: int, used: str, *grants: Grant, closed: bool = True) -> QuarterInput:
    return QuarterInput(index, grants, (UsageSlice(D(used)),), closed=closed)


def instalment(index: int, amount: str) -> Grant:
    return grant(f"instalment:{index}", GrantKind.INSTALMENT, amount)


def test_the_worked_contract() -> None:
    chain = run_chain(
        [
            quarter(1, "22000", instalment(1, "30000")),
            quarter(2, "41500", instalment(2, "30000")),
            quarter(
                3,
                "36250.123456",
                instalment(3, "30000"),
                grant("true_up", GrantKind.TRUE_UP, "10000"),
            ),
            quarter(4, "45000", instalment(4, "40000")),
            quarter(5, "0"),
        ]
    )
    figures = [(q.granted, q.rolled_in, q.overage, q.rolled_out, q.breakage) for q in chain]
    assert figures == [
        (D(30000), D(0), D(0), D(8000), D(0)),
        (D(38000), D(8000), D(3500), D(0), D(0)),
        (D(40000), D(0), D(0), D("3749.876544"), D(0)),
        (D("43749.876544"), D("3749.876544"), D("1250.123456"), D(0), D(0)),
        (D(0), D(0), D(0), D(0), D(0)),
    ]


def test_grants_are_drawn_in_the_published_order() -> None:
    shuffled = [
        grant("rolling credit", GrantKind.CREDIT, "1", created=1),
        grant("true-up", GrantKind.TRUE_UP, "1", created=2),
        grant("instalment", GrantKind.INSTALMENT, "1", created=3),
        grant("rolled second", GrantKind.ROLLOVER, "1", created=9),
        grant("rolled first", GrantKind.ROLLOVER, "1", created=8),
        grant("credit to the end", GrantKind.CREDIT, "1", rolls=False, created=4),
        grant("credit to March", GrantKind.CREDIT, "1", rolls=False, expires_at=LATER, created=5),
        grant("credit to Feb", GrantKind.CREDIT, "1", rolls=False, expires_at=EARLY, created=6),
    ]
    assert [g.ref for g in draw_order(shuffled)] == [
        "credit to Feb",
        "credit to March",
        "credit to the end",
        "rolled second",
        "rolled first",
        "instalment",
        "true-up",
        "rolling credit",
    ]


def test_a_credit_covers_only_usage_before_its_expiry() -> None:
    credit = grant("credit", GrantKind.CREDIT, "100", rolls=False, expires_at=EARLY)
    usage = [UsageSlice(D(30), EARLY), UsageSlice(D(500))]
    assert draw_down([credit, instalment(1, "1000")], usage) == [D(30), D(500)]


def test_rollover_takes_fraction_then_cap_in_draw_order_and_counts_rolls() -> None:
    policy = RolloverPolicy(fraction=D("0.5"), cap=D(60), max_times=1)
    first = QuarterInput(
        1,
        (instalment(1, "100"), grant("t", GrantKind.TRUE_UP, "100")),
        (UsageSlice(D(0)),),
        policy=policy,
        closed=True,
    )
    second = QuarterInput(2, (), (UsageSlice(D(0)),), policy=policy, closed=True)
    one, two = run_chain([first, second])
    assert [(g.rolled_out, g.broken) for g in one.grants] == [(D(50), D(50)), (D(10), D(90))]
    assert [g.grant.ref for g in two.grants] == ["instalment:1", "t"]
    assert (two.rolled_out, two.breakage) == (D(0), D(60))


def test_overage_given_back_rolls_whole_whatever_the_policy() -> None:
    back = grant("back", GrantKind.CREDIT, "7.000000000001", rolls_whole=True)
    policy = RolloverPolicy(fraction=D(0), cap=D(0), max_times=0)
    closing = QuarterInput(1, (back,), (UsageSlice(D(2)),), policy=policy, closed=True)
    assert run_chain([closing])[0].rolled_out == D("5.000000000001")


def test_money_rolls_only_out_of_closed_quarters() -> None:
    waiting = quarter(1, "10", instalment(1, "100"), closed=False)
    running = quarter(2, "120", instalment(2, "100"), closed=False)
    one, two = run_chain([waiting, running])
    assert (two.granted, two.overage) == (D(100), D(20))
    assert sum(g.amount for g in one.rolling) == D(90)


def test_what_is_left_at_an_expiring_end_is_breakage() -> None:
    last = QuarterInput(
        1, (instalment(1, "100"),), (UsageSlice(D(40)),), settlement=Settlement.EXPIRE, closed=True
    )
    figures = run_chain([last])[0]
    assert (figures.rolled_out, figures.breakage_paid) == (D(0), D(60))


amounts = st.decimals(min_value=0, max_value=10**9, places=12)
kinds = st.sampled_from([GrantKind.INSTALMENT, GrantKind.TRUE_UP, GrantKind.CREDIT])
policies = st.builds(
    RolloverPolicy,
    fraction=st.decimals(min_value=0, max_value=1, places=4),
    cap=st.none() | amounts,
    max_times=st.none() | st.integers(0, 3),
)


@st.composite
def chains(draw: st.DrawFn) -> list[QuarterInput]:
    policy = draw(policies)
    quarters = []
    for index in range(1, draw(st.integers(1, 6)) + 1):
        grants = tuple(
            Grant(
                f"{index}/{number}",
                draw(kinds),
                draw(amounts),
                created=number,
                rolls=draw(st.booleans()),
                rolls_whole=draw(st.booleans()),
            )
            for number in range(draw(st.integers(0, 4)))
        )
        quarters.append(
            QuarterInput(index, grants, (UsageSlice(draw(amounts)),), policy=policy, closed=True)
        )
    return quarters


@given(chains())
def test_no_dollar_appears_or_vanishes(quarters: list[QuarterInput]) -> None:
    rolled_in = D(0)
    for given_, figures in zip(quarters, run_chain(quarters), strict=True):
        assert figures.rolled_in == rolled_in
        assert figures.granted == sum((g.amount for g in given_.grants), D(0)) + rolled_in
        assert figures.used == figures.drawn + figures.overage
        assert figures.granted == figures.drawn + figures.rolled_out + figures.breakage
        rolled_in = figures.rolled_out


@given(chains())
def test_a_quarter_never_has_drawable_money_and_overage_at_once(
    quarters: list[QuarterInput],
) -> None:
    for figures in run_chain(quarters):
        left = figures.granted - figures.drawn
        assert figures.overage == 0 or left == 0


@given(chains(), st.integers(0, 5), amounts)
def test_late_usage_is_conserved(quarters: list[QuarterInput], place: int, late: D) -> None:
    """Late amount = balance drawn + extra overage + breakage undone, exactly."""
    place %= len(quarters)
    before = run_chain(quarters)
    target = quarters[place]
    more = QuarterInput(
        target.index,
        target.grants,
        (UsageSlice(target.used + late),),
        policy=target.policy,
        closed=True,
    )
    after = run_chain([*quarters[:place], more, *quarters[place + 1 :]])
    balance = before[-1].rolled_out - after[-1].rolled_out
    overage = sum((q.overage for q in after), D(0)) - sum((q.overage for q in before), D(0))
    undone = sum((q.breakage for q in before), D(0)) - sum((q.breakage for q in after), D(0))
    assert balance + overage + undone == late
