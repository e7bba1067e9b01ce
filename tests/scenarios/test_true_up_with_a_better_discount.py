"""A true-up in mid-quarter covers overage that has accrued, and brings 25 % from the next day."""

from decimal import Decimal

import pytest

from tests.commits.world import at
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_it_is_billed_in_arrears_and_the_next_instalment_grows() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-01-20")
    story.uses("80")
    story.until("2026-02-15T12:00")
    story.trues_up(commit, "50", discount=Decimal("0.25"), effective_at=at("2026-02-16"))
    story.until("2026-02-20")
    story.uses("100")  # at 25 % off: 93.75
    story.until("2026-04-05")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   150.00       0.00  173.75    23.75        0.00      0.00
        Q2   150.00       0.00    0.00     0.00        0.00      0.00
        Q3     0.00       0.00    0.00     0.00        0.00      0.00
        """,
    )
    # 23.75 of overage, shared as 93.75 to 80.
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        2  instalment  Q2   150.00
        2  true_up     Q1    50.00
        2  overage     Q1    12.81
        2  overage     Q1    10.94
        2  total            223.75  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  323.75       -
        deferred_revenue_Q2       -  150.00
        overage_revenue           -   23.75
        usage_revenue             -  150.00
        sum                  323.75  323.75
        """
    )
