"""What nobody was billed, what only a void invoice billed, and overage given back: at the end."""

from datetime import date
from decimal import Decimal as D

import pytest

from billing.models import CreditNote, Customer, Invoice
from billing.services import invoice_voiding
from billing.services.proof import ledger_problems
from commits.domain.policies import EndOfTerm
from commits.models import Commit
from commits.services import daily, proof
from tests.commits.world import at, signed, trial_balance, use, void
from tests.prove.stripe_words import finalize_drafts
from tests.prove.stripe_words import void as void_invoice

pytestmark = pytest.mark.django_db(transaction=True)


def days(*instants: str) -> None:
    """The daily jobs of these days, Stripe issuing every draft, and the proofs."""
    for when in instants:
        daily.run_daily(now=at(when))
        finalize_drafts(at(when))
        assert proof.commit_problems() == []
        assert ledger_problems() == []


def test_instalments_below_the_minimum_to_the_end_go_to_rounding(acme: Customer) -> None:
    signed(acme, instalments=("0.20", "0.20"), end_of_term=EndOfTerm.EXPIRE)
    days("2026-04-04", "2026-07-04")
    assert not Invoice.objects.exists()
    assert trial_balance(acme) == {"rounding": D("0.40"), "breakage_revenue": D("-0.40")}


def test_what_was_never_billed_is_not_refunded(acme: Customer) -> None:
    signed(acme, instalments=("0.20", "0.20"), end_of_term=EndOfTerm.REFUND)
    use(acme, "0.15", "2026-05-01", now=at("2026-05-01"))
    days("2026-04-04", "2026-07-04")
    assert not CreditNote.objects.exists()
    assert trial_balance(acme) == {"rounding": D("0.15"), "usage_revenue": D("-0.15")}


def test_a_renewal_is_not_billed_for_the_commit_before(acme: Customer) -> None:
    """0.30 and 0.20 of two commits would make an invoice together; each ends for itself."""
    signed(acme, instalments=("0.30",))
    second = signed(
        acme, instalments=("0.20", "100"), starts_on=date(2026, 4, 1), now=at("2026-02-01")
    )
    days("2026-04-04")
    assert not Invoice.objects.exists()
    assert trial_balance(acme)["rounding"] == D("0.30")
    days("2026-07-04")
    (invoice,) = Invoice.objects.all()
    assert (invoice.commit_id, invoice.total_cents) == (second.pk, 10_020)


def test_a_customer_who_signs_for_the_end_of_a_posted_month(acme: Customer) -> None:
    """The uncommitted chain ends there and then: its residue goes to rounding."""
    first = signed(acme, instalments=(), discount=D(0), period_months=1)
    use(acme, "6.004", "2026-01-10", now=at("2026-01-10"))  # 7.505 at the list price
    days("2026-02-05")
    signed(acme, instalments=("100",), starts_on=date(2026, 2, 1), now=at("2026-02-05"))
    finalize_drafts(at("2026-02-05"))
    assert Commit.objects.get(pk=first.pk).state == "ended"
    assert trial_balance(acme) == {
        "accounts_receivable": D("107.51"),
        "deferred_revenue": D(-100),
        "overage_revenue": D("-7.505"),
        "rounding": D("-0.005"),
    }


def test_late_usage_booked_in_a_month_that_is_taken_away_is_billed(acme: Customer) -> None:
    signed(acme, instalments=(), discount=D(0), period_months=1)
    use(acme, "8", "2026-01-10", now=at("2026-01-10"))
    days("2026-02-05")
    use(acme, "4", "2026-01-11", now=at("2026-02-05"))
    days("2026-02-06")  # booked in February, which would have billed it
    signed(acme, instalments=("100",), starts_on=date(2026, 2, 1), now=at("2026-02-06"))
    days("2026-02-07")
    (line,) = Invoice.objects.get(occasion="adjustment").lines.all()
    assert (line.kind, line.amount_cents) == ("late_usage", 500)
    assert trial_balance(acme)["overage_revenue"] == D(-15)
    assert "rounding" not in trial_balance(acme)


def test_overage_given_back_is_refunded_although_nothing_was_billed_in_advance(
    acme: Customer,
) -> None:
    """An uncommitted customer has no instalment that a note could take back: usage is."""
    signed(acme, instalments=(), discount=D(0), period_months=1)
    use(acme, "40", "2026-01-10", now=at("2026-01-10"), event_id="a")
    days("2026-02-05")
    void(acme, "a", now=at("2026-02-06"))
    days("2026-02-07")
    signed(acme, instalments=("100",), starts_on=date(2026, 2, 20), now=at("2026-02-10"))
    days("2026-02-24")
    note = CreditNote.objects.get()
    assert (note.kind, note.total_cents) == ("overbilled_usage", 5_000)
    assert trial_balance(acme) == {"accounts_receivable": D(100), "deferred_revenue": D(-100)}


def test_a_void_invoice_refunds_nothing_until_it_is_issued_again(acme: Customer) -> None:
    signed(acme, instalments=("100",), end_of_term=EndOfTerm.REFUND)
    finalize_drafts(at("2026-01-01"))
    first = Invoice.objects.get()
    void_invoice(first.pk, at("2026-01-02"))
    use(acme, "30", "2026-02-01", now=at("2026-02-01"))
    days("2026-04-04", "2026-04-05")
    assert not CreditNote.objects.exists()
    # $30 were used and nobody is billed for them: a contract asset until finance decides.
    assert trial_balance(acme) == {"deferred_revenue": D(30), "usage_revenue": D(-30)}
    invoice_voiding.reissue_invoice(
        invoice_id=first.pk, actor=None, actor_name="ada", now=at("2026-05-01")
    )
    finalize_drafts(at("2026-05-01"))
    days("2026-05-02", "2026-05-03")
    assert CreditNote.objects.get().total_cents == 7_000
    assert trial_balance(acme) == {"accounts_receivable": D(30), "usage_revenue": D(-30)}


def test_overage_that_only_a_void_invoice_billed_is_not_income(acme: Customer) -> None:
    """Voided invoice, then voided usage, after the end: nothing is owed, nothing is earned."""
    signed(acme, instalments=("100",), end_of_term=EndOfTerm.EXPIRE)
    use(acme, "140.004", "2026-01-10", now=at("2026-01-10"), event_id="a")
    days("2026-04-04")
    close = Invoice.objects.get(occasion="close")
    void_invoice(close.pk, at("2026-04-05"))
    void(acme, "a", now=at("2026-04-06"))
    days("2026-04-07", "2026-04-08")
    assert trial_balance(acme) == {"accounts_receivable": D(100), "breakage_revenue": D(-100)}
    invoice_voiding.reissue_invoice(
        invoice_id=close.pk, actor=None, actor_name="ada", now=at("2026-05-01")
    )
    finalize_drafts(at("2026-05-01"))
    days("2026-05-02", "2026-05-03")
    assert CreditNote.objects.get().total_cents == 4_000
    assert trial_balance(acme) == {"accounts_receivable": D(100), "breakage_revenue": D(-100)}
