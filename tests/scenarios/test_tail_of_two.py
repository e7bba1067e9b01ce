"""A tail of two quarters: what is left is drawn in them, and lapses with the second."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_money_is_drawn_in_the_tail_and_lapses_with_it() -> None:
    story = begin()
    commit = story.signs("100", tail_quarters=2)
    for day, units in (("2026-02-01", "20"), ("2026-05-01", "30"), ("2026-08-01", "15")):
        story.until(day)
        story.uses(units)
    story.until("2026-10-04")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1   100.00       0.00  20.00     0.00       80.00      0.00
        Q2    80.00      80.00  30.00     0.00       50.00      0.00
        Q3    50.00      50.00  15.00     0.00        0.00     35.00
        """,
    )
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        breakage_revenue          -   35.00
        usage_revenue             -   65.00
        sum                  100.00  100.00
        """
    )
