"""Late usage and voids when no quarter is open any more: an adjustment invoice or a credit note."""

from datetime import date
from decimal import Decimal as D

import pytest

from billing.models import CreditNote, Customer, Invoice, JournalEntry
from billing.services.proof import ledger_problems
from commits.models import Commit, Quarter
from commits.services import after_the_end, daily, proof
from tests.commits.world import at, figures, signed, trial_balance, use, void
from tests.prove.stripe_words import finalize_drafts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ended(acme: Customer) -> Commit:
    """$100 for one quarter, of which $130.004 was used; its tail closed empty."""
    commit = signed(acme, instalments=("100",))
    use(acme, "110.004", "2026-01-10", now=at("2026-01-10"))
    use(acme, "20", "2026-01-11", now=at("2026-01-11"), event_id="b")
    days("2026-04-04", "2026-07-04")
    assert Commit.objects.get().state == "ended"
    assert trial_balance(acme) == {
        "accounts_receivable": D(130),
        "usage_revenue": D(-100),
        "overage_revenue": D("-30.004"),
        "rounding": D("0.004"),
    }
    return commit


def days(*instants: str) -> None:
    """The daily jobs of these days, Stripe issuing every draft, and the proofs."""
    for when in instants:
        daily.run_daily(now=at(when))
        finalize_drafts(at(when))
        assert proof.commit_problems() == []
        assert ledger_problems() == []


def test_more_usage_is_an_adjustment_invoice(acme: Customer, ended: Commit) -> None:
    use(acme, "10.003", "2026-01-12", now=at("2026-09-01"))
    assert figures(ended)[0] == ("100", "0", "140.007", "40.007", "0")
    days("2026-09-02", "2026-09-03")
    (line,) = Invoice.objects.get(occasion="adjustment").lines.all()
    assert (line.kind, line.quarter_index, line.amount_cents) == ("late_usage", 1, 1_001)
    assert trial_balance(acme) == {
        "accounts_receivable": D("140.01"),
        "usage_revenue": D(-100),
        "overage_revenue": D("-40.007"),
        "rounding": D("-0.003"),
    }
    residues = JournalEntry.objects.filter(code="commit.residue").order_by("id")
    assert [str(e.postings.get(account__code="rounding").amount.normalize()) for e in residues] == [
        "0.004",
        "-0.004",
        "-0.003",
    ]


def test_a_second_adjustment_is_another_invoice(acme: Customer, ended: Commit) -> None:
    use(acme, "10", "2026-01-12", now=at("2026-09-01"))
    days("2026-09-02")
    use(acme, "5", "2026-04-12", now=at("2026-09-02"))
    days("2026-09-03", "2026-09-04")
    found = Invoice.objects.filter(occasion="adjustment").order_by("created_at")
    assert [(one.occasion_ref, one.total_cents) for one in found] == [("1", 1_000), ("2", 500)]
    assert found[1].lines.get().quarter_index == 2


def test_below_the_minimum_it_stays_in_rounding(acme: Customer, ended: Commit) -> None:
    use(acme, "0.3", "2026-01-12", now=at("2026-09-01"))
    days("2026-09-02")
    assert not Invoice.objects.filter(occasion="adjustment").exists()
    assert trial_balance(acme)["rounding"] == D("0.304")
    use(acme, "0.3", "2026-01-13", now=at("2026-09-03"))
    days("2026-09-04")
    assert Invoice.objects.get(occasion="adjustment").total_cents == 60
    assert trial_balance(acme)["rounding"] == D("0.004")


def test_less_usage_is_a_credit_note(acme: Customer, ended: Commit) -> None:
    void(acme, "b", now=at("2026-09-01"))
    days("2026-09-02", "2026-09-03")
    note = CreditNote.objects.get()
    assert (note.kind, note.total_cents, note.requested_by) == ("overbilled_usage", 2_000, "rule")
    assert trial_balance(acme) == {
        "accounts_receivable": D(110),
        "usage_revenue": D(-100),
        "overage_revenue": D("-10.004"),
        "rounding": D("0.004"),
    }


def test_usage_after_a_credit_note_is_billed_again(acme: Customer, ended: Commit) -> None:
    void(acme, "b", now=at("2026-09-01"))
    days("2026-09-02")
    use(acme, "15", "2026-01-12", now=at("2026-09-03"))
    days("2026-09-04")
    assert Invoice.objects.get(occasion="adjustment").total_cents == 1_500
    assert trial_balance(acme)["accounts_receivable"] == D(125)


def test_money_that_a_void_frees_after_an_empty_tail_is_refunded(acme: Customer) -> None:
    commit = signed(acme, instalments=("100",))
    use(acme, "60", "2026-01-10", now=at("2026-01-10"))
    target = use(acme, "40", "2026-04-11", now=at("2026-04-11"))
    days("2026-04-04", "2026-07-04")
    assert Commit.objects.get(pk=commit.pk).state == "ended"
    void(acme, target, now=at("2026-09-01"))
    days("2026-09-02", "2026-09-03")
    assert trial_balance(acme) == {"accounts_receivable": D(60), "usage_revenue": D(-60)}
    assert [row[4] for row in figures(commit)] == ["40", "0"]


def test_a_later_commit_of_the_customer_is_left_alone(acme: Customer, ended: Commit) -> None:
    later = signed(acme, starts_on=date(2026, 9, 1), instalments=("50", "50"), now=at("2026-08-01"))
    use(acme, "7", "2026-09-05", now=at("2026-09-05"))
    use(acme, "10", "2026-01-12", now=at("2026-09-05"))
    days("2026-09-06", "2026-09-07")
    assert figures(later)[0] == ("50", "0", "7", "0", "0")
    assert Invoice.objects.get(occasion="adjustment").commit_id == ended.pk
    before = JournalEntry.objects.count()
    days("2026-09-08")
    assert JournalEntry.objects.count() == before


def test_a_worker_that_dies_before_the_end_leaves_nothing(
    acme: Customer, ended: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """The process dies here."""

    def dies(booking: object) -> None:
        raise Killed

    use(acme, "10", "2026-01-12", now=at("2026-09-01"))
    before = (JournalEntry.objects.count(), Invoice.objects.count())
    with pytest.raises(Killed), monkeypatch.context() as patch:
        patch.setattr(after_the_end, "write_booking", dies)
        after_the_end.settle_ended(now=at("2026-09-02"))
    assert (JournalEntry.objects.count(), Invoice.objects.count()) == before
    assert Quarter.objects.get(index=1).late_billed_cents == 0
    days("2026-09-02", "2026-09-02")
    assert Invoice.objects.filter(occasion="adjustment").count() == 1
