"""`refund` at the end of the term: what is left of paid money goes back, to the cent."""

from decimal import Decimal as D

import pytest

from billing.models import CreditNote, Customer, Invoice
from billing.services import invoice_voiding
from billing.services.proof import ledger_problems
from commits.domain.policies import EndOfTerm, RolloverPolicy
from commits.models import Commit, Grant
from commits.services import balances, closes, credits, daily, proof
from tests.commits.world import at, figures, signed, trial_balance, use, void
from tests.prove.stripe_words import finalize_drafts, pay

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING = RolloverPolicy(fraction=D(0), cap=D(0), max_times=0)


@pytest.fixture
def half_year(acme: Customer) -> Commit:
    """$100 a quarter for two quarters, refunded at their end."""
    return signed(acme, instalments=("100", "100"), end_of_term=EndOfTerm.REFUND)


def days(*instants: str) -> None:
    """The daily jobs of these days, Stripe issuing every draft, and the proofs."""
    for when in instants:
        daily.run_daily(now=at(when))
        finalize_drafts(at(when))
        assert proof.commit_problems() == []
        assert ledger_problems() == []


def notes() -> list[tuple[str, int, int, int]]:
    """Kind of invoice, cents off the receivable, cents to refund; most recent invoice first."""
    found = CreditNote.objects.order_by("-invoice__created_at")
    return [(n.invoice.occasion, n.total_cents, n.receivable_cents, n.refund_cents) for n in found]


def test_paid_money_goes_back_and_a_credit_does_not(acme: Customer) -> None:
    commit = signed(
        acme, instalments=("100", "100"), end_of_term=EndOfTerm.REFUND, rollover=NOTHING
    )
    finalize_drafts(at("2026-01-01"))
    credit = credits.request_credit(
        commit_id=commit.pk,
        request=credits.CreditRequest(amount=D(5), reason="sla", quarter=2, rolls_over=True),
        actor="ada",
        now=at("2026-02-01"),
    )
    credits.approve_credit(credit_id=credit.pk, actor="ben", now=at("2026-02-01"))
    use(acme, "30.001", "2026-05-01", now=at("2026-05-01"))
    days("2026-04-04", "2026-07-04")
    assert figures(commit) == [
        ("100", "0", "0", "0", "0"),
        ("105", "0", "30.001", "0", "0"),
    ]
    # Q1's money had expired under the commit's rollover; Q2's is refunded whatever it says.
    assert trial_balance(acme) == {
        "accounts_receivable": D("130.01"),
        "usage_revenue": D("-30.001"),
        "breakage_revenue": D(-100),
        "rounding": D("-0.009"),
    }
    assert notes() == [("close", 6_999, 6_999, 0)]
    assert Commit.objects.get(pk=commit.pk).state == "ended"
    assert balances.read_balance(customer=acme, now=at("2026-07-05")).available == 0
    assert not Grant.objects.filter(kind="instalment", returned__gt=D(70)).exists()


def test_most_recent_invoices_first_and_never_more_than_they_billed(
    acme: Customer, half_year: Commit
) -> None:
    finalize_drafts(at("2026-01-01"))
    pay(Invoice.objects.get().pk, "stripe", at("2026-01-05"))
    use(acme, "50", "2026-02-01", now=at("2026-02-01"))
    days("2026-04-04", "2026-07-04")
    assert notes() == [("close", 10_000, 10_000, 0), ("activation", 5_000, 0, 5_000)]
    assert trial_balance(acme) == {
        "stripe_clearing": D(100),
        "refunds_payable": D(-50),
        "usage_revenue": D(-50),
    }


def test_with_nothing_left_there_is_no_note(acme: Customer, half_year: Commit) -> None:
    use(acme, "201", "2026-05-01", now=at("2026-05-01"))
    days("2026-04-04", "2026-07-04", "2026-07-05")
    assert notes() == []
    assert trial_balance(acme) == {
        "accounts_receivable": D(201),
        "usage_revenue": D(-200),
        "overage_revenue": D(-1),
    }


def test_what_no_live_invoice_billed_is_not_refunded(acme: Customer, half_year: Commit) -> None:
    """The first invoice was voided and never reissued: its money was never asked for."""
    invoice_voiding.void_invoice(
        invoice_id=Invoice.objects.get().pk,
        reason="test",
        actor=None,
        actor_name="ada",
        now=at("2026-01-02"),
    )
    days("2026-04-04", "2026-07-04")
    assert notes() == [("close", 10_000, 10_000, 0)]
    assert "deferred_revenue" not in trial_balance(acme)


def test_refunded_money_is_not_called_back(acme: Customer, half_year: Commit) -> None:
    finalize_drafts(at("2026-01-01"))
    days("2026-04-04", "2026-07-04")
    assert trial_balance(acme) == {}
    use(acme, "10", "2026-02-01", now=at("2026-08-01"))
    days("2026-08-02", "2026-08-03")
    adjustment = Invoice.objects.get(occasion="adjustment")
    assert list(adjustment.lines.values_list("kind", "quarter_index", "amount_cents")) == [
        ("late_usage", 1, 1_000)
    ]
    assert trial_balance(acme) == {"accounts_receivable": D(10), "overage_revenue": D(-10)}


def test_a_void_after_the_refund_gives_back_the_freed_money_as_well(
    acme: Customer, half_year: Commit
) -> None:
    target = use(acme, "40.005", "2026-02-01", now=at("2026-02-01"))
    days("2026-04-04", "2026-07-04")
    assert trial_balance(acme)["rounding"] == D("-0.005")
    void(acme, target, now=at("2026-08-01"))
    days("2026-08-02", "2026-08-03")
    assert sum(cents for _, cents, _, _ in notes()) == 20_000
    assert trial_balance(acme) == {}


def test_overage_given_back_is_refunded_at_the_end(acme: Customer) -> None:
    commit = signed(acme, instalments=("100", "100"), end_of_term=EndOfTerm.EXPIRE)
    target = use(acme, "20", "2026-02-01", now=at("2026-02-01"))
    use(acme, "100", "2026-02-02", now=at("2026-02-02"))
    days("2026-04-04")
    void(acme, target, now=at("2026-05-01"))
    days("2026-05-02", "2026-07-04")
    assert figures(commit)[1] == ("120", "0", "0", "0", "0")
    balance = trial_balance(acme)
    assert (balance["breakage_revenue"], balance["usage_revenue"]) == (D(-100), D(-100))
    assert balance["accounts_receivable"] == D(200)
    assert "deferred_revenue" not in balance


def test_closing_twice_refunds_once(acme: Customer, half_year: Commit) -> None:
    for _ in range(2):
        closes.run_closes(as_of=at("2026-07-04"), now=at("2026-07-04"))
    days("2026-07-04", "2026-07-05")
    assert sum(cents for _, cents, _, _ in notes()) == 20_000
