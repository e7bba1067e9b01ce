"""A true-up billed at its approval: money covers the overage that has accrued."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_it_has_an_invoice_of_its_own() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-02-01")
    story.uses("120")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        overage_revenue           -   20.00
        unbilled_receivable   20.00       -
        usage_revenue             -  100.00
        sum                  120.00  120.00
        """
    )
    story.until("2026-02-10")
    story.trues_up(commit, "30", from_quarter=1, through_quarter=1, bill_now=True)
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  130.00       -
        deferred_revenue_Q1       -   10.00
        usage_revenue             -  120.00
        sum                  130.00  130.00
        """
    )
    story.until("2026-04-05")
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        2  true_up     Q1    30.00
        2  total             30.00  finalized
        3  instalment  Q2   100.00
        3  total            100.00  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  230.00       -
        deferred_revenue_Q2       -  110.00
        usage_revenue             -  120.00
        sum                  230.00  230.00
        """
    )
