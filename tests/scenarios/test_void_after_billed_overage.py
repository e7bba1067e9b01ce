"""Overage is billed, then the event is voided: it comes back as balance, and what is left of that
is refunded although the commit's money expires."""

import pytest

from commits.domain.policies import EndOfTerm
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_overage_given_back_is_never_lost() -> None:
    story = begin()
    commit = story.signs("100", "100", end_of_term=EndOfTerm.EXPIRE)
    story.until("2026-02-01")
    story.uses("100")
    wrong = story.uses("30")
    story.until("2026-04-05")
    story.pays_everything()
    story.until("2026-04-20")
    story.voids(wrong)
    story.shows_books(
        """
        account               debit  credit
        deferred_revenue_Q2       -  130.00
        stripe_clearing      230.00       -
        usage_revenue             -  100.00
        sum                  230.00  230.00
        """
    )
    story.until("2026-05-10")
    story.uses("110")  # the instalment, then 10 of the 30
    story.until("2026-07-04")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   100.00       0.00  100.00     0.00        0.00      0.00
        Q2   130.00       0.00  110.00     0.00        0.00      0.00
        """,
    )
    story.shows_books(
        """
        account           debit  credit
        refunds_payable       -   20.00
        stripe_clearing  230.00       -
        usage_revenue         -  210.00
        sum              230.00  230.00
        """
    )
