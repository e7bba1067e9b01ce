"""A customer without a promise is billed by the month at list price, and signs in February."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_the_running_month_is_cut_where_the_commit_starts() -> None:
    story = begin()
    story.signs(period_months=1)
    story.until("2026-01-10")
    story.uses("8")  # 1.25 each
    story.until("2026-02-10")
    story.uses("4")
    story.until("2026-02-12")
    commit = story.signs("100", starts_on="2026-02-15")
    story.until("2026-02-16")
    story.uses("30")  # at 20 % off
    story.until("2026-02-19")

    story.shows_quarters(
        commit,
        """
            granted  rolled_in  used   overage  rolled_out  breakage
        Q1   100.00       0.00  30.00     0.00        0.00      0.00
        Q2     0.00       0.00   0.00     0.00        0.00      0.00
        """,
    )
    story.shows_invoices(
        """
           line        of  dollars  state
        1  overage     Q1    10.00
        1  total             10.00  finalized
        2  instalment  Q1   100.00
        2  total            100.00  finalized
        3  overage     Q2     5.00
        3  total              5.00  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  115.00       -
        deferred_revenue_Q1       -   70.00
        overage_revenue           -   15.00
        usage_revenue             -   30.00
        sum                  115.00  115.00
        """
    )
