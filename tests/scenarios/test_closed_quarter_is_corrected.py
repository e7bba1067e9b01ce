"""An event is replaced twice: before its quarter closes, and after."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_a_correction_is_a_void_and_a_replacement() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-02-01")
    first = story.uses("80")
    story.until("2026-02-03")
    story.voids(first)
    second = story.uses("90", "2026-02-01")
    story.until("2026-04-05")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  200.00       -
        deferred_revenue_Q2       -  110.00
        usage_revenue             -   90.00
        sum                  200.00  200.00
        """
    )
    story.until("2026-05-01")
    story.voids(second)
    story.uses("120", "2026-02-01")  # 10 roll no more, and Q1 has 20 of overage
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   100.00       0.00  120.00    20.00        0.00      0.00
        Q2   100.00       0.00    0.00     0.00        0.00      0.00
        Q3     0.00       0.00    0.00     0.00        0.00      0.00
        """,
    )
    story.until("2026-07-04")
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        2  instalment  Q2   100.00
        2  total            100.00  finalized
        3  late_usage  Q1    20.00
        3  total             20.00  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  220.00       -
        deferred_revenue_Q3       -  100.00
        overage_revenue           -   20.00
        usage_revenue             -  100.00
        sum                  220.00  220.00
        """
    )
