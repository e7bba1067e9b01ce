"""Half of what is left rolls, at most 20 a close, and no dollar twice."""

from decimal import Decimal

import pytest

from commits.domain.policies import RolloverPolicy
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db
HALF_ONCE = RolloverPolicy(fraction=Decimal("0.5"), cap=Decimal(20), max_times=1)


def test_fraction_cap_and_times_together() -> None:
    story = begin()
    commit = story.signs("100", "100", "100", rollover=HALF_ONCE)
    for day, units in (("2026-02-01", "70"), ("2026-05-01", "10"), ("2026-08-01", "150")):
        story.until(day)
        story.uses(units)
    story.until("2027-01-05")
    # Q1: 30 left, 15 roll. Q2: the 15 are drawn first, their last 5 have rolled once; of the
    # instalment's 100 half would roll, the cap lets 20 pass.
    story.shows_quarters(
        commit,
        """
            granted  rolled_in    used  overage  rolled_out  breakage
        Q1   100.00       0.00   70.00     0.00       15.00     15.00
        Q2   115.00      15.00   10.00     0.00       20.00     85.00
        Q3   120.00      20.00  150.00    30.00        0.00      0.00
        Q4     0.00       0.00    0.00     0.00        0.00      0.00
        """,
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  330.00       -
        breakage_revenue          -  100.00
        overage_revenue           -   30.00
        usage_revenue             -  200.00
        sum                  330.00  330.00
        """
    )
