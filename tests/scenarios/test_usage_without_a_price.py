"""A model that nobody priced blocks the close, until two people waive a part and price the rest."""

import pytest

from billing.domain.errors import NotPermitted
from metering.services import waivers
from tests.scenarios.telling import Telling, begin

pytestmark = pytest.mark.django_db
HELD = """
    account               debit  credit
    accounts_receivable  100.00       -
    deferred_revenue_Q1       -   80.00
    usage_revenue             -   20.00
    sum                  100.00  100.00
"""


def waive(story: Telling, event: str) -> None:
    """Ada asks, and may not approve it herself; Ben does."""
    waiver = waivers.request_waiver(
        customer=story.customer,
        events=[("test", event)],
        reason="a test of ours",
        actor_name="ada",
        now=story.now,
    )
    with pytest.raises(NotPermitted):
        waivers.approve_waiver(waiver_id=waiver.pk, actor_name="ada", now=story.now)
    waivers.approve_waiver(waiver_id=waiver.pk, actor_name="ben", now=story.now)
    story.touched = True


def test_it_blocks_its_close_and_nothing_else() -> None:
    story = begin()
    commit = story.signs("100", "100")
    story.until("2026-03-01")
    story.uses("20")
    ours = story.uses("500", model="mystery")
    story.uses("6", model="mystery")
    story.until("2026-04-10")
    story.shows_books(HELD)  # the close was due on April 4
    waive(story, ours)
    story.until("2026-04-12")
    story.shows_books(HELD)  # the other event still waits
    story.list_price("2.50", "2026-01-01", model="mystery")  # 2.00 at 20 % off
    story.until("2026-04-13")
    story.shows_quarters(
        commit,
        """
            granted  rolled_in   used  overage  rolled_out  breakage
        Q1   100.00       0.00  32.00     0.00       68.00      0.00
        Q2   168.00      68.00   0.00     0.00        0.00      0.00
        Q3     0.00       0.00   0.00     0.00        0.00      0.00
        """,
    )
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  200.00       -
        deferred_revenue_Q2       -  168.00
        usage_revenue             -   32.00
        sum                  200.00  200.00
        """
    )
