"""A voided invoice that is given up: what was used is a bad debt, what was not is withdrawn."""

import pytest

from billing.models import Posting
from billing.services import invoice_sync, write_offs
from commits.services.explain import explain_posting
from commits.services.write_offs import approve_write_off
from tests.prove import stripe_words
from tests.scenarios.telling import Telling, begin

pytestmark = pytest.mark.django_db


def give_up(story: Telling, number: int) -> None:
    """Ada asks, Ben approves."""
    invoice = story.invoices()[number - 1]
    asked = write_offs.request_write_off(
        invoice_id=invoice.pk, reason="insolvent", actor_name="ada", now=story.now
    )
    approve_write_off(write_off_id=asked.pk, actor_name="ben", now=story.now)
    story.touched = True


@pytest.fixture
def story() -> Telling:
    """140 used of 100; the close has billed 40 of overage and the next 100, and is voided. 70 of
    the next quarter are used, and 30 have rolled on and on."""
    made = begin()
    made.signs("100", "100")
    made.until("2026-02-01")
    made.uses("140")
    made.until("2026-04-04")
    stripe_words.void(made.invoices()[1].pk, made.now)
    made.until("2026-05-01")
    made.uses("70")
    made.until("2026-10-05")
    return made


def test_nothing_is_left_of_it_in_the_books(story: Telling) -> None:
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        deferred_revenue_Q2  100.00       -
        deferred_revenue_Q4       -   30.00
        overage_revenue           -   40.00
        unbilled_receivable   40.00       -
        usage_revenue             -  170.00
        sum                  240.00  240.00
        """
    )
    give_up(story, 2)
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        bad_debt             110.00       -
        overage_revenue           -   40.00
        usage_revenue             -  170.00
        sum                  210.00  210.00
        """
    )
    debt = Posting.objects.get(account__code="bad_debt")
    why = explain_posting(id=debt.pk).why
    assert "what was used is a bad debt" in why
    assert "asked for by ada, approved by ben: insolvent" in why


def test_what_was_withdrawn_is_overage_when_it_is_used_after_all(story: Telling) -> None:
    give_up(story, 2)
    story.uses("10")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        bad_debt             110.00       -
        overage_revenue           -   50.00
        unbilled_receivable   10.00       -
        usage_revenue             -  170.00
        sum                  220.00  220.00
        """
    )
    story.until("2027-02-01")
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        2  instalment  Q2   100.00
        2  overage     Q1    40.00
        2  total            140.00  void
        3  overage     Q4    10.00
        3  total             10.00  finalized
        """
    )


def test_two_of_them_leave_nothing_to_draw() -> None:
    """The first takes what would be drawn last, which is the money of the second."""
    story = begin()
    story.signs("100", "100")
    story.until("2026-02-01")
    story.uses("60")
    story.until("2026-04-05")
    for invoice in story.invoices():
        stripe_words.void(invoice.pk, story.now)
    give_up(story, 1)
    story.shows_books(
        """
        account               debit  credit
        bad_debt              60.00       -
        usage_revenue             -   60.00
        sum                   60.00   60.00
        """
    )
    give_up(story, 2)
    story.shows_books(
        """
        account         debit  credit
        bad_debt        60.00       -
        usage_revenue       -   60.00
        sum             60.00   60.00
        """
    )
    story.uses("5")
    story.shows_books(
        """
        account               debit  credit
        bad_debt              60.00       -
        overage_revenue           -    5.00
        unbilled_receivable    5.00       -
        usage_revenue             -   60.00
        sum                   65.00   65.00
        """
    )


def test_an_uncollectible_one_is_voided_first() -> None:
    story = begin()
    story.signs("100")
    story.until("2026-02-01")
    story.uses("30")
    (invoice,) = story.invoices()
    invoice_sync.apply_remote(
        invoice_id=invoice.pk, remote=stripe_words.remote(invoice, "uncollectible"), now=story.now
    )
    stripe_words.void(invoice.pk, story.now)
    story.uses("20")
    give_up(story, 1)
    story.shows_books(
        """
        account        debit  credit
        bad_debt       50.00       -
        usage_revenue      -   50.00
        sum            50.00   50.00
        """
    )
