"""A renewal receives the rollover; then usage of the first commit turns up that nobody had seen."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_late_usage_reaches_through_the_renewal() -> None:
    story = begin()
    first = story.signs("100", "100")
    story.until("2026-02-01")
    story.uses("60")
    story.until("2026-05-01")
    story.uses("90")
    story.until("2026-06-01")
    second = story.signs("50", starts_on="2026-07-01")
    story.until("2026-08-10")
    story.uses("80")
    story.until("2026-08-20")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  250.00       -
        deferred_revenue_Q1       -   20.00
        usage_revenue             -  230.00
        sum                  250.00  250.00
        """
    )

    story.uses("30", "2026-02-10")  # 10 less roll into Q2's end, and the renewal is 10 short
    story.shows_quarters(
        first,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1   100.00       0.00  90.00     0.00       10.00      0.00
        Q2   110.00      10.00  90.00     0.00       20.00      0.00
        """,
    )
    story.shows_quarters(
        second,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1    70.00      20.00  80.00    10.00        0.00      0.00
        Q2     0.00       0.00   0.00     0.00        0.00      0.00
        """,
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  250.00       -
        overage_revenue           -   10.00
        unbilled_receivable   10.00       -
        usage_revenue             -  250.00
        sum                  260.00  260.00
        """
    )
    story.until("2027-01-05")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  260.00       -
        overage_revenue           -   10.00
        usage_revenue             -  250.00
        sum                  260.00  260.00
        """
    )
