"""A ramp: 10, 40 and 25 a quarter. A spike costs the committed rate, what is left rolls."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_each_quarter_has_its_own_instalment() -> None:
    story = begin()
    commit = story.signs("10", "40", "25")
    for day, units in (("2026-02-01", "15"), ("2026-05-01", "30"), ("2026-08-01", "40")):
        story.until(day)
        story.uses(units)
    story.until("2027-01-05")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1    10.00       0.00  15.00     5.00        0.00      0.00
        Q2    40.00       0.00  30.00     0.00       10.00      0.00
        Q3    35.00      10.00  40.00     5.00        0.00      0.00
        Q4     0.00       0.00   0.00     0.00        0.00      0.00
        """,
    )
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1    10.00
        1  total             10.00  finalized
        2  instalment  Q2    40.00
        2  overage     Q1     5.00
        2  total             45.00  finalized
        3  instalment  Q3    25.00
        3  total             25.00  finalized
        4  overage     Q3     5.00
        4  total              5.00  finalized
        """
    )
    story.shows_books(
        """
        account              debit  credit
        accounts_receivable  85.00       -
        overage_revenue          -   10.00
        usage_revenue            -   75.00
        sum                  85.00   85.00
        """
    )
