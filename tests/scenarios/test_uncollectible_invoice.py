"""An invoice that nobody will pay: the earned part is bad debt, the unused part was never owed."""

import pytest

from billing.services import invoice_sync
from tests.prove import stripe_words
from tests.scenarios.telling import begin

pytestmark = pytest.mark.django_db


def test_it_is_written_off_and_may_still_be_paid() -> None:
    story = begin()
    story.signs("100")
    story.until("2026-02-01")
    story.uses("30")
    story.shows_books(
        """
        account               debit  credit
        accounts_receivable  100.00       -
        deferred_revenue_Q1       -   70.00
        usage_revenue             -   30.00
        sum                  100.00  100.00
        """
    )
    (invoice,) = story.invoices()
    invoice_sync.apply_remote(
        invoice_id=invoice.pk,
        remote=stripe_words.remote(invoice, "uncollectible"),
        now=story.now,
    )
    story.shows_books(
        """
        account        debit  credit
        bad_debt       30.00       -
        usage_revenue      -   30.00
        sum            30.00   30.00
        """
    )
    stripe_words.pay(invoice.pk, "bank", story.now)
    story.shows_books(
        """
        account               debit  credit
        bank                 100.00       -
        deferred_revenue_Q1       -   70.00
        usage_revenue             -   30.00
        sum                  100.00  100.00
        """
    )
