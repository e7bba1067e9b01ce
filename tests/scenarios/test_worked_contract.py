"""The contract worked through in the domain's rules, section 10: every figure, over REST."""

from __future__ import annotations

import pytest

from tests.scenarios import books, story
from tests.scenarios.acme import END, Acme
from tests.scenarios.story import at, same
from tests.scenarios.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

QUARTERS = """
    state     granted             rolled_in          used                overage            rolled_out         breakage
Q1  invoiced  30000.000000000000     0.000000000000  22000.000000000000     0.000000000000  8000.000000000000  0.000000000000
Q2  invoiced  38000.000000000000  8000.000000000000  41500.000000000000  3500.000000000000     0.000000000000  0.000000000000
Q3  invoiced  40000.000000000000     0.000000000000  36250.123456000000     0.000000000000  3749.876544000000  0.000000000000
Q4  invoiced  43749.876544000000  3749.876544000000  45000.000000000000  1250.123456000000     0.000000000000  0.000000000000
Q5  invoiced      0.000000000000     0.000000000000      0.000000000000     0.000000000000     0.000000000000  0.000000000000
"""  # noqa: E501
INVOICES = """
   line        of  meter    quantity  dollars   state
1  instalment  Q1                     30000.00
1  total                              30000.00  paid
2  instalment  Q2                     30000.00
2  total                              30000.00  paid
3  instalment  Q3                     30000.00
3  overage     Q2  dollars      3500   3500.00
3  total                              33500.00  paid
4  instalment  Q4                     40000.00
4  true_up     Q3                     10000.00
4  total                              50000.00  paid
5  overage     Q4  dollars      1250   1250.12
5  total                               1250.12  paid
"""
ACCOUNTS_AT_THE_END = """
account          debit                credit
overage_revenue  -                      4750.123456000000
rounding              0.003456000000  -
stripe_clearing  144750.120000000000  -
usage_revenue    -                    140000.000000000000
sum              144750.123456000000  144750.123456000000
"""
IN_MARCH = """
account              debit               credit
deferred_revenue_Q1  -                    8000.000000000000
stripe_clearing      30000.000000000000  -
usage_revenue        -                   22000.000000000000
sum                  30000.000000000000  30000.000000000000
"""
AFTER_TWO_CLOSES = """
account              debit               credit
deferred_revenue_Q3  -                   27212.000000000000
overage_revenue      -                    3500.000000000000
stripe_clearing      93500.000000000000  -
usage_revenue        -                   62788.000000000000
sum                  93500.000000000000  93500.000000000000
"""


@pytest.fixture
def acme(world: World) -> Acme:
    """The contract, signed."""
    made = Acme(world)
    made.begin()
    return made


def test_the_books_on_the_way(acme: Acme) -> None:
    """Q2 runs while Q1 waits in its grace: its money is drawable before it is invoiced."""
    acme.live_until(at("2026-03-31T23:00:00"))
    acme.world.wait_until_paid("acme")
    acme.wait_for_the_books()
    same(books.trial_balance(acme.world), IN_MARCH)
    acme.live_until(at("2026-04-02T12:00:00"))
    balance = acme.world.ada.get("/customers/acme/balance")
    assert balance["quarter"]["index"] == 2
    assert balance["granted"] == "30000.000000000000"
    assert balance["pending_rollover"] == "8000.000000000000"
    acme.live_until(at("2026-07-05T00:00:00"))
    acme.world.wait_until_paid("acme")
    acme.wait_for_the_books()
    same(books.trial_balance(acme.world), AFTER_TWO_CLOSES)


def test_the_contract_as_it_is_told(acme: Acme) -> None:
    """Quarters, invoices and lines, and the books at the end; all of it paid."""
    acme.live_until(END)
    acme.world.wait_until_paid("acme")
    same(story.quarters_table(acme.world, acme.commit), QUARTERS)
    same(story.invoices_table(acme.world), INVOICES)
    same(books.trial_balance(acme.world), ACCOUNTS_AT_THE_END)
    assert acme.world.ada.get(f"/commits/{acme.commit}")["state"] == "ended"
    acme.world.manage("check_ledger")
    assert acme.world.stripe.violations() == []
