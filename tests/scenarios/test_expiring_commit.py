"""A commit whose money expires with its term: breakage, and late usage that undoes a part of it."""

import pytest

from commits.domain.policies import EndOfTerm
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_what_is_left_at_the_end_of_the_term_is_breakage() -> None:
    story = begin()
    commit = story.signs("100", "100", end_of_term=EndOfTerm.EXPIRE)
    story.until("2026-02-01")
    story.uses("30")
    story.until("2026-05-01")
    story.uses("50")
    story.until("2026-07-10")
    story.pays_everything()
    story.shows_quarters(
        commit,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1   100.00       0.00  30.00     0.00       70.00      0.00
        Q2   170.00      70.00  50.00     0.00        0.00    120.00
        """,
    )
    story.shows_books(
        """
        account             debit  credit
        breakage_revenue        -  120.00
        stripe_clearing    200.00       -
        usage_revenue           -   80.00
        sum                200.00  200.00
        """
    )

    story.until("2026-07-20")
    story.uses("25", "2026-06-20")  # of money that had expired: no overage
    story.until("2026-07-22")
    story.shows_books(
        """
        account             debit  credit
        breakage_revenue        -   95.00
        stripe_clearing    200.00       -
        usage_revenue           -  105.00
        sum                200.00  200.00
        """
    )

    story.uses("100", "2026-06-21")  # 95 of it had expired, 5 are an adjustment invoice
    story.until("2026-07-24")
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  paid
        2  instalment  Q2   100.00
        2  total            100.00  paid
        3  late_usage  Q2     5.00
        3  total              5.00  finalized
        """
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable    5.00       -
        overage_revenue           -    5.00
        stripe_clearing      200.00       -
        usage_revenue             -  200.00
        sum                  205.00  205.00
        """
    )
