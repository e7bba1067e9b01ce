"""A voided invoice: its lines stay billed. They return by its reissue, or never."""

import pytest

from billing.services import invoice_voiding
from tests.prove import stripe_words
from tests.scenarios.telling import Telling, begin

pytestmark = pytest.mark.django_db

ISSUED = """
    account               debit  credit
    accounts_receivable  240.00       -
    deferred_revenue_Q2       -  100.00
    overage_revenue           -   40.00
    usage_revenue             -  100.00
    sum                  240.00  240.00
"""
VOIDED = """
    account               debit  credit
    accounts_receivable  100.00       -
    overage_revenue           -   40.00
    unbilled_receivable   40.00       -
    usage_revenue             -  100.00
    sum                  140.00  140.00
"""


@pytest.fixture
def story() -> Telling:
    """140 used of 100; the close has billed 40 of overage and the next 100, and is voided."""
    made = begin()
    made.signs("100", "100")
    made.until("2026-02-01")
    made.uses("140")
    made.until("2026-04-04")
    made.shows_books(ISSUED)
    stripe_words.void(made.invoices()[1].pk, made.now)
    made.shows_books(VOIDED)
    return made


def test_it_returns_by_its_reissue(story: Telling) -> None:
    invoice_voiding.reissue_invoice(
        invoice_id=story.invoices()[1].pk, actor=None, actor_name="ada", now=story.now
    )
    stripe_words.finalize_drafts(story.now)
    story.shows_books(ISSUED)
    story.shows_invoices(
        """
           line        of  dollars  state
        1  instalment  Q1   100.00
        1  total            100.00  finalized
        2  instalment  Q2   100.00
        2  overage     Q1    40.00
        2  total            140.00  void
        3  instalment  Q2   100.00
        3  overage     Q1    40.00
        3  total            140.00  finalized
        """
    )


def test_without_a_reissue_nobody_bills_it_again(story: Telling) -> None:
    """No grant is withdrawn: 70 of Q2 are drawn and stay a contract asset until finance decides."""
    story.until("2026-05-01")
    story.uses("70")
    story.until("2026-10-05")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        deferred_revenue_Q2  100.00       -
        deferred_revenue_Q4       -   30.00
        overage_revenue           -   40.00
        unbilled_receivable   40.00       -
        usage_revenue             -  170.00
        sum                  240.00  240.00
        """
    )
