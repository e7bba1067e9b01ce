"""Credits: one that lapses with its quarter, one that rolls, one that ends inside its quarter."""

import pytest

from tests.commits.world import at
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_each_credit_has_its_place_in_the_draw_order() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-02-01")
    story.credits(commit, "10")
    story.credits(commit, "20", rolls_over=True)
    story.uses("115")  # the 10, the instalment, then 5 of the 20
    story.until("2026-05-01")
    story.credits(commit, "8", expires_at=at("2026-05-10"))
    story.until("2026-05-05")
    story.uses("5")  # of the 8; the other 3 lapse
    story.until("2026-06-01")
    story.uses("30")  # the 15 that rolled, then the instalment
    story.until("2026-07-05")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   130.00       0.00  115.00     0.00       15.00      0.00
        Q2   123.00      15.00   35.00     0.00       85.00      3.00
        Q3    85.00      85.00    0.00     0.00        0.00      0.00
        """,
    )
    # Contra-revenue: 10 + 20 + 8 given, 3 lapsed.
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  200.00       -
        contra_revenue        35.00       -
        deferred_revenue_Q3       -   85.00
        usage_revenue             -  150.00
        sum                  235.00  235.00
        """
    )
