"""$500 of Q1 usage arrive late, at three different times: domain section 10, (a), (b) and (c)."""

from __future__ import annotations

import pytest

from tests.scenarios import books, story
from tests.scenarios.acme import END, Acme
from tests.scenarios.story import at, same, spend
from tests.scenarios.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# Whenever they arrive, the chain's figures are the same in the end.
QUARTERS = """
    state     granted             rolled_in          used                overage            rolled_out         breakage
Q1  invoiced  30000.000000000000     0.000000000000  22500.000000000000     0.000000000000  7500.000000000000  0.000000000000
Q2  invoiced  37500.000000000000  7500.000000000000  41500.000000000000  4000.000000000000     0.000000000000  0.000000000000
Q3  invoiced  40000.000000000000     0.000000000000  36250.123456000000     0.000000000000  3749.876544000000  0.000000000000
Q4  invoiced  43749.876544000000  3749.876544000000  45000.000000000000  1250.123456000000     0.000000000000  0.000000000000
Q5  invoiced      0.000000000000     0.000000000000      0.000000000000     0.000000000000     0.000000000000  0.000000000000
"""  # noqa: E501
FIRST_TWO_INVOICES = """
   line        of  meter    quantity  dollars   state
1  instalment  Q1                     30000.00
1  total                              30000.00  paid
2  instalment  Q2                     30000.00
2  total                              30000.00  paid
"""
IN_TIME = (
    FIRST_TWO_INVOICES
    + """3  instalment  Q3                     30000.00
3  overage     Q2  dollars      4000   4000.00
3  total                              34000.00  paid
4  instalment  Q4                     40000.00
4  true_up     Q3                     10000.00
4  total                              50000.00  paid
5  overage     Q4  dollars      1250   1250.12
5  total                               1250.12  paid
"""
)
TOO_LATE = (
    FIRST_TWO_INVOICES
    + """3  instalment  Q3                     30000.00
3  overage     Q2  dollars      3500   3500.00
3  total                              33500.00  paid
4  instalment  Q4                     40000.00
4  true_up     Q3                     10000.00
4  late_usage  Q1  dollars       500    500.00
4  total                              50500.00  paid
5  overage     Q4  dollars      1250   1250.12
5  total                               1250.12  paid
"""
)
ACCOUNTS_AT_THE_END = """
account          debit                credit
overage_revenue  -                      5250.123456000000
rounding              0.003456000000  -
stripe_clearing  145250.120000000000  -
usage_revenue    -                    140000.000000000000
sum              145250.123456000000  145250.123456000000
"""


@pytest.fixture
def acme(world: World) -> Acme:
    """The contract, signed."""
    made = Acme(world)
    made.begin()
    return made


def end_well(acme: Acme, invoices: str) -> None:
    """Live to the end, and compare everything."""
    acme.live_until(END)
    acme.world.wait_until_paid("acme")
    same(story.quarters_table(acme.world, acme.commit), QUARTERS)
    same(story.invoices_table(acme.world), invoices)
    same(books.trial_balance(acme.world), ACCOUNTS_AT_THE_END)
    acme.world.manage("check_ledger")


def test_a_inside_the_grace(acme: Acme) -> None:
    """Q1 counts them; Q2's overage at its close is 4,000."""
    acme.live_until(at("2026-04-02T10:00:00"))
    acme.report_late(spend("2026-02-01T10:00:00", "500"))
    balance = acme.world.ada.get("/customers/acme/balance")
    assert balance["pending_rollover"] == "7500.000000000000"
    end_well(acme, IN_TIME)


def test_b_in_mid_q2(acme: Acme) -> None:
    """Q1 has posted with rollover 8,000: the difference posted in Q2 is a drawdown of 500."""
    acme.live_until(at("2026-05-14T10:00:00"))
    acme.wait_for_the_books()
    before = books.balances(acme.world)
    booked = acme.world.row_counts()["billing_journalentry"]
    assert story.quarters(acme.world, acme.commit)[0]["rolled_out"] == "8000.000000000000"
    acme.report_late(spend("2026-02-01T10:00:00", "500"))
    shown = story.quarters(acme.world, acme.commit)
    assert shown[0]["used"] == "22500.000000000000"
    assert shown[0]["rolled_out"] == "7500.000000000000"
    assert shown[1]["granted"] == "37500.000000000000"
    acme.wait_for_the_books()
    assert acme.world.row_counts()["billing_journalentry"] > booked
    assert books.difference(before, books.balances(acme.world)) == {
        "deferred_revenue Q2": "500.000000000000",
        "usage_revenue": "-500.000000000000",
    }
    end_well(acme, IN_TIME)


def test_c_in_mid_q3(acme: Acme) -> None:
    """Q2 has billed 3,500: 500 more overage, billed at Q3's close although Q3 has money."""
    acme.live_until(at("2026-08-20T10:00:00"))
    acme.wait_for_the_books()
    before = books.balances(acme.world)
    acme.report_late(spend("2026-02-01T10:00:00", "500"))
    acme.wait_for_the_books()
    assert books.difference(before, books.balances(acme.world)) == {
        "overage_revenue": "-500.000000000000",
        "unbilled_receivable": "500.000000000000",
    }
    shown = story.quarters(acme.world, acme.commit)
    assert shown[0]["rolled_out"] == "7500.000000000000"
    assert shown[1]["overage"] == "4000.000000000000"
    assert shown[2]["overage"] == "0.000000000000"
    end_well(acme, TOO_LATE)
