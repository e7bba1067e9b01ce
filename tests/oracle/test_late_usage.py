"""Late usage and voids after a close: only the difference is booked, in the open quarter."""

from fractions import Fraction

from .cast import at, lines, small, spend, tell, totals
from .happenings import Batch, Use, Void
from .terms import Rollover
from .world import World


def void(target: str, when: str) -> Void:
    """A void that arrives at an instant."""
    return Void(at=at(when), customer="acme", id=f"void {target}", target_id=target)


def test_overage_taken_back_becomes_a_credit_in_the_open_quarter() -> None:
    """Q1 used 130 of 100 and billed 30; a void of 20 gives exactly 20 back in Q2."""
    use = [spend("2026-01-10", "110.004", "a"), spend("2026-01-11", "20", "b")]
    world = tell(small(), *use, void("b", "2026-05-01"), until="2026-05-02")
    assert totals(world) == [10000, 13000]
    assert world.quarter("A", 1).overage == Fraction("10.004")
    second = world.quarter("A", 2)
    assert [(one.kind, one.origin) for one in second.grants] == [
        ("instalment", "paid"),
        ("credit", "given_back"),
    ]
    assert second.granted == 120
    assert world.trial_balance()["unbilled receivable"] == Fraction("0.004")


def test_a_void_that_only_frees_money_shows_as_more_rolled_in() -> None:
    """No overage was billed, so nothing is given back."""
    use = [spend("2026-01-10", "50", "a"), spend("2026-01-11", "20", "b")]
    world = tell(small(), *use, void("b", "2026-05-01"), until="2026-05-02")
    assert world.quarter("A", 2).rolled_in == 50
    assert [one.kind for one in world.quarter("A", 2).grants] == ["rollover", "instalment"]


def test_late_overage_waiting_for_its_invoice_is_reduced_first() -> None:
    """30 late, 10 of it voided before the close: 20 are billed and nothing is given back."""
    told = [
        spend("2026-01-10", "100", "a"),
        spend("2026-01-11", "20", "b", arrives="2026-05-01"),
        spend("2026-01-12", "10", "c", arrives="2026-05-02"),
        void("c", "2026-05-03"),
    ]
    world = tell(small(), *told, until="2026-07-05")
    assert lines(world, 3) == [("late_usage", 1, 2000)]
    assert all(one.kind != "credit" for one in world.quarter("A", 2).grants)


def credited(world: World) -> int:
    """The cents of all credit notes."""
    return sum(invoice.credited_cents for invoice in world.invoices("acme"))


def test_given_back_money_rolls_whole_and_is_refunded_at_the_end() -> None:
    """Outside fraction, cap and count; a commit that expires refunds it all the same."""
    policy = Rollover(fraction=Fraction(0), cap=Fraction(0), max_times=0)
    use = [spend("2026-01-10", "110", "a"), spend("2026-01-11", "20", "b")]
    world = tell(
        small(end="expire", end_quarters=1, rollover=policy),
        *use,
        void("b", "2026-05-01"),
        until="2026-10-05",
    )
    assert [one.rolled_out for one in world.quarters("A")] == [0, 20, 0]
    assert world.quarter("A", 2).breakage == 100
    assert credited(world) == 2000


def test_late_usage_undoes_breakage() -> None:
    """What lapsed in Q1 covers it: breakage revenue becomes usage revenue."""
    policy = Rollover(fraction=Fraction(0))
    late = spend("2026-01-12", "10", "c", arrives="2026-05-02")
    world = tell(small(rollover=policy), late, until="2026-05-03")
    assert world.quarter("A", 1).breakage == 90
    assert world.trial_balance()["usage revenue"] == -10


def test_when_no_quarter_is_open_the_next_job_settles() -> None:
    """An adjustment invoice for more, a credit note for less; rounding is made anew."""
    use = [spend("2026-01-10", "110.004", "a"), spend("2026-01-11", "20", "b")]
    late = spend("2026-01-12", "10", "c", arrives="2026-09-01")
    commit = small("100", 1)
    more = tell(commit, *use, late, until="2026-09-02")
    assert totals(more) == [10000, 3000, 1000]
    assert more.invoices("acme")[2].occasion == "adjustment 1"
    assert more.trial_balance()["rounding"] == Fraction("0.004")
    less = tell(commit, *use, void("b", "2026-09-01"), until="2026-09-02")
    assert credited(less) == 2000
    assert less.trial_balance()["rounding"] == Fraction("0.004")
    freed = tell(
        commit,
        spend("2026-01-10", "60", "a"),
        spend("2026-04-11", "40", "b"),
        void("b", "2026-09-01"),
        until="2026-09-02",
    )
    assert freed.trial_balance() == {
        "accounts receivable": 60,
        "usage revenue": -60,
    }


def test_refunded_money_is_not_called_back() -> None:
    """Late usage after the refund is overage and billed."""
    late = spend("2026-01-12", "10", "c", arrives="2026-09-01")
    world = tell(small("100", 1, end="refund"), late, until="2026-09-02")
    assert world.trial_balance() == {
        "accounts receivable": 10,
        "overage revenue": -10,
    }


def test_events_are_never_edited() -> None:
    """Duplicates, conflicts, voids before their target in a batch, voids of voids."""
    use = spend("2026-01-10", "1", "a")
    world = tell(small(), use, until="2026-01-12")
    now = at("2026-01-12")

    def answer(*events: Use | Void) -> str:
        return world.apply(Batch(at=now, events=events))

    assert answer(use) == "duplicate"
    assert answer(spend("2026-01-10", "2", "a")) == "conflict"
    assert answer(void("never", "2026-01-12")) == "not_found"
    assert answer(void("b", "2026-01-12"), spend("2026-01-10", "2", "b")) == "ok ok"
    assert answer(void("a", "2026-01-12")) == "ok"
    assert answer(void("a", "2026-01-12")) == "duplicate"
    again = Void(at=now, customer="acme", id="other", target_id="a")
    assert answer(again) == "conflict"
    assert answer(Void(at=now, customer="acme", id="w", target_id="void a")) == "conflict"
    assert world.quarter("A", 1).used == 0
