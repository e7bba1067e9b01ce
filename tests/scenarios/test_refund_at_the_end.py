"""A commit that refunds: to the cent by credit note, and less than a cent goes to rounding."""

import pytest

from commits.domain.policies import EndOfTerm
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_unused_money_goes_back() -> None:
    story = begin()
    commit = story.signs("100", end_of_term=EndOfTerm.REFUND)
    story.pays_everything()
    story.until("2026-02-01")
    story.uses("30.004")
    story.shows_books(
        """
        account               debit  credit
        deferred_revenue_Q1       -  69.996
        stripe_clearing      100.00       -
        usage_revenue             -  30.004
        sum                  100.00  100.00
        """
    )
    story.until("2026-04-04")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   100.00       0.00  30.004     0.00        0.00      0.00
        """,
    )
    story.shows_books(
        """
        account           debit  credit
        refunds_payable       -   69.99
        rounding              -   0.006
        stripe_clearing  100.00       -
        usage_revenue         -  30.004
        sum              100.00  100.00
        """
    )

    # Refunded money is not called back: the 0.006 are drawn, the rest is overage.
    story.uses("10", "2026-03-01")
    story.until("2026-04-06")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable     9.99        -
        overage_revenue            -    9.994
        refunds_payable            -    69.99
        rounding               0.004        -
        stripe_clearing       100.00        -
        usage_revenue              -    30.01
        sum                  109.994  109.994
        """
    )
