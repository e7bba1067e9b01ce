"""An SLA credit given after the customer ran dry: it covers the overage that has accrued."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_a_quarter_never_has_money_and_overage_at_once() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-02-01")
    story.uses("125")
    story.until("2026-03-01")
    story.credits(commit, "15")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        contra_revenue        15.00       -
        overage_revenue           -   10.00
        unbilled_receivable   10.00       -
        usage_revenue             -  115.00
        sum                  125.00  125.00
        """
    )
    story.credits(commit, "12")  # drawn before the instalment, of which 2 roll
    story.until("2026-04-04")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  200.00       -
        contra_revenue        27.00       -
        deferred_revenue_Q2       -  102.00
        usage_revenue             -  125.00
        sum                  227.00  227.00
        """
    )
