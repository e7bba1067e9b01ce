"""A monthly customer whose months come to less than Stripe's minimum: they are billed together."""

import pytest

from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_three_small_months_make_one_invoice() -> None:
    story = begin()
    story.signs(period_months=1)
    for day, units in (("2026-01-10", "0.24"), ("2026-02-10", "0.12"), ("2026-03-10", "0.203204")):
        story.until(day)
        story.uses(units)  # 0.30, 0.15, 0.254005 at list price
    story.shows_books(
        """
        account              debit  credit
        overage_revenue          -  0.704005
        unbilled_receivable  0.704005  -
        sum                  0.704005  0.704005
        """
    )
    story.until("2026-04-04")
    story.shows_invoices(
        """
           line     of  dollars  state
        1  overage  Q1     0.30
        1  overage  Q2     0.15
        1  overage  Q3     0.25
        1  total           0.70  finalized
        """
    )
    story.shows_books(
        """
        account                 debit    credit
        accounts_receivable      0.70         -
        overage_revenue             -  0.704005
        unbilled_receivable  0.004005         -
        sum                  0.704005  0.704005
        """
    )
