"""List prices go up and down in mid-quarter under price protection; then a price of its own."""

import pytest

from billing.domain.errors import Conflict
from tests.scenarios.telling import Telling, begin

pytestmark = pytest.mark.django_db


def a_quarter_of_moving_prices(*, price_protection: bool) -> Telling:
    """10 units each: at 1.25, at 1.50, after a cut to 1.00, and at a price of its own of 0.70."""
    story = begin()
    commit = story.signs("100", price_protection=price_protection)
    story.list_price("1.50", "2026-02-01")
    story.list_price("1.00", "2026-03-01")
    for day in ("2026-01-10", "2026-02-10", "2026-03-05"):
        story.until(day)
        story.uses("10")
    story.until("2026-03-10")
    story.agrees_on_price(commit, "0.70", "2026-03-15")
    story.until("2026-03-20")
    story.uses("10")
    return story


def test_protection_caps_the_list_price_at_the_start_and_lets_a_cut_pass() -> None:
    story = a_quarter_of_moving_prices(price_protection=True)
    # 10 + 10 (capped at 1.25) + 8 + 7
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        deferred_revenue_Q1       -   65.00
        usage_revenue             -   35.00
        sum                  100.00  100.00
        """
    )


def test_without_protection_a_rise_is_paid() -> None:
    story = a_quarter_of_moving_prices(price_protection=False)
    # 10 + 12 + 8 + 7
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        deferred_revenue_Q1       -   63.00
        usage_revenue             -   37.00
        sum                  100.00  100.00
        """
    )
    with pytest.raises(Conflict, match="already"):
        story.list_price("1.40", "2026-02-01")
