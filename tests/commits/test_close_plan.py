"""The plan of a close: cents on the cumulative figure, lines that add up, equal digests."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from commits.domain.chain import Grant, GrantKind, QuarterInput, UsageSlice
from commits.domain.close import (
    BillKind,
    CloseInputs,
    EarlierQuarter,
    GrantToInvoice,
    UsageGroup,
    canonical,
    digest,
    give_back,
    inputs_from_json,
    plan_close,
)


def inputs(*used: str, instalment: str = "100", **options: object) -> CloseInputs:
    quarters = tuple(
        QuarterInput(
            place,
            (Grant(f"instalment:{place}", GrantKind.INSTALMENT, D(instalment)),),
            (UsageSlice(D(amount)),),
            closed=True,
        )
        for place, amount in enumerate(used, start=1)
    )
    last = UsageGroup("llama", "serverless", "output_tokens", D(used[-1]), 1)
    base = CloseInputs(quarters, (last,), (), (), 50, True)
    return replace(base, **options)


def test_instalment_and_overage_share_one_invoice() -> None:
    plan = plan_close(
        inputs("135", to_invoice=(GrantToInvoice(BillKind.INSTALMENT, 2, "instalment:2", 10_000),))
    )
    assert [(line.kind, line.position, line.cents) for line in plan.lines] == [
        (BillKind.INSTALMENT, 2, 10_000),
        (BillKind.OVERAGE, 1, 3_500),
    ]


def test_lines_share_the_cents_by_largest_remainder() -> None:
    groups = tuple(UsageGroup("m", "batch", meter, D("33.333"), 1) for meter in "abc")
    plan = plan_close(inputs("99.999", instalment="0", groups=groups))
    assert [line.cents for line in plan.lines] == [3_334, 3_333, 3_333]
    assert plan.total_cents == 10_000


def test_a_bill_under_the_minimum_is_carried_not_lost() -> None:
    small = plan_close(inputs("100.30"))
    assert (small.lines, small.carried_cents) == ((), 30)
    earlier = (EarlierQuarter(1, D("0.30"), D(0), 0, 0),)
    carried = plan_close(inputs("100.30", "100.40", earlier=earlier))
    assert carried.total_cents == 70
    assert sorted((line.position, line.cents) for line in carried.lines) == [(1, 30), (2, 40)]


def test_late_usage_is_billed_over_the_late_events_of_their_own_quarter() -> None:
    """$500 of Q1 came late and made $500 more overage in Q2: the line says Q1."""
    late = UsageGroup("qwen", "serverless", "output_tokens", D("0.5"), 1000)
    plan = plan_close(
        inputs(
            "500",
            "4100",
            "50",
            instalment="500",
            earlier=(
                EarlierQuarter(1, D(0), D(0), 0, 0, (late,)),
                EarlierQuarter(2, D(3100), D(0), 310_000, 0),
            ),
        )
    )
    assert [(line.kind, line.position, line.model, line.cents) for line in plan.lines] == [
        (BillKind.LATE_USAGE, 1, "qwen", 50_000)
    ]


def test_a_late_fall_takes_what_is_carried_before_it_touches_the_quarter() -> None:
    earlier = (EarlierQuarter(1, D("0.40"), D(0), 0, 0),)
    plan = plan_close(inputs("100", "200", earlier=earlier))
    assert [(line.kind, line.position, line.cents) for line in plan.lines] == [
        (BillKind.OVERAGE, 2, 10_000)
    ]


def test_what_rounding_leaves_goes_to_rounding_when_the_commit_ends() -> None:
    plan = plan_close(inputs("100.503456", continues=False))
    assert (plan.overage_cents, plan.residue, plan.ends) == (50, D("0.003456"), True)


def test_an_unlimited_tail_ends_with_nothing_rolled_out() -> None:
    assert plan_close(inputs("100", continues=None)).ends
    assert not plan_close(inputs("99.99", continues=None)).ends


dollars = st.decimals(min_value=0, max_value=10**6, places=12)


@given(st.lists(dollars, min_size=1, max_size=8))
def test_billed_cents_never_stray_half_a_cent_from_the_exact_overage(used: list[D]) -> None:
    billed: list[int] = []
    exact = D(0)
    for place in range(1, len(used) + 1):
        earlier = tuple(
            EarlierQuarter(number, used[number - 1], D(0), cents, 0)
            for number, cents in enumerate(billed, start=1)
        )
        texts = [str(amount) for amount in used[:place]]
        plan = plan_close(inputs(*texts, instalment="0", earlier=earlier, minimum_cents=0))
        billed.append(0)
        for line in plan.lines:
            billed[line.position - 1] += line.cents
        exact += used[place - 1]
        assert abs(exact - D(sum(billed)) / 100) <= D("0.005")


@given(dollars, st.integers(1, 10**9))
def test_inputs_survive_being_stored(amount: D, quantity: int) -> None:
    given_ = inputs(str(amount), groups=(UsageGroup("m", "batch", "x", amount, quantity),))
    assert digest(inputs_from_json(canonical(given_))) == digest(given_)


def test_equal_inputs_have_equal_digests_and_others_have_not() -> None:
    assert digest(inputs("1.10")) == digest(inputs("1.1"))
    assert digest(inputs("1.10")) != digest(inputs("1.11"))


def test_only_what_was_invoiced_is_given_back() -> None:
    assert give_back(reduction=D(500), unbilled=D("500.004")) == 0
    assert give_back(reduction=D(100), unbilled=D("0.004")) == D(100)
    assert give_back(reduction=D(100), unbilled=D("0.40")) == D("99.60")
    assert give_back(reduction=D(-5), unbilled=D(0)) == 0
