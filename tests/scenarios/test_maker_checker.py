"""Closes and true-ups are approved by somebody else than the one who planned or asked."""

from __future__ import annotations

import pytest

from tests.demo.client import ApiProblem
from tests.scenarios.story import invoices, open_books, quarters, report, sign, spread
from tests.scenarios.world import World

pytestmark = pytest.mark.slow


def test_a_close_is_approved_by_a_second_person(world: World) -> None:
    """Ada runs the closes, so her approval is refused and changes nothing; Ben's posts."""
    open_books(world)
    commit = sign(world, auto_approve=None)
    world.set_clock("2026-03-31T20:00:00Z")
    report(world, spread("2026-01-01", "2026-03-31", "31000.50"))
    world.set_clock("2026-04-03T23:00:00Z")
    world.set_clock("2026-04-04T00:30:00Z")  # the daily job has planned it, by rule
    planned = world.ada.post("/closes", {"as_of": "2026-04-04T00:00:00Z"})["results"]
    assert [(row["quarter"], row["state"]) for row in planned] == [(1, "planned")]
    assert planned[0]["needs_human"]
    before = world.row_counts()
    with pytest.raises(ApiProblem) as refused:
        world.ada.post(f"/commits/{commit}/quarters/1/approve", {"digest": planned[0]["digest"]})
    assert (refused.value.status, refused.value.code) == (403, "maker_is_checker")
    assert quarters(world, commit)[0]["state"] == "planned"
    assert world.row_counts() == before

    seen = world.ben.get(f"/commits/{commit}/quarters/1/plan")
    assert seen["digest"] == planned[0]["digest"]
    world.ben.post(f"/commits/{commit}/quarters/1/approve", {"digest": seen["digest"]})
    assert quarters(world, commit)[0]["state"] in ("posted", "invoiced")
    world.set_clock("2026-04-05T00:30:00Z")
    world.wait_until_paid("acme")
    assert [invoice["total_cents"] for invoice in invoices(world)] == [3_000_000, 3_100_050]


def test_approval_names_the_plan_that_was_looked_at(world: World) -> None:
    """Usage that came in between makes it another plan: 409, and nothing is approved."""
    open_books(world)
    commit = sign(world, auto_approve=None)
    world.set_clock("2026-04-04T00:30:00Z")
    seen = world.ben.get(f"/commits/{commit}/quarters/1/plan")
    report(world, spread("2026-03-01", "2026-03-02", "5", pieces=1))
    with pytest.raises(ApiProblem) as refused:
        world.ben.post(f"/commits/{commit}/quarters/1/approve", {"digest": seen["digest"]})
    assert (refused.value.status, refused.value.code) == (409, "plan_changed")
    assert quarters(world, commit)[0]["state"] == "planned"


def test_a_true_up_is_approved_by_a_second_person(world: World) -> None:
    """Refused to the one who asked, whoever that is; approved by another, once."""
    open_books(world)
    commit = sign(world)
    world.set_clock("2026-02-10T00:00:00Z")
    world.settle("acme")
    asked = world.ada.post(f"/commits/{commit}/true-ups", {"amount": "500.00"})
    before = world.row_counts()
    with pytest.raises(ApiProblem) as refused:
        world.ada.post(f"/true-ups/{asked['id']}/approve")
    assert (refused.value.status, refused.value.code) == (403, "maker_is_checker")
    with pytest.raises(ApiProblem) as forbidden:
        world.customer("acme").post(f"/true-ups/{asked['id']}/approve")
    assert forbidden.value.status == 403
    now = world.row_counts()
    assert {table: n for table, n in now.items() if n != before[table]}.keys() <= {
        "billing_apikey", "billing_auditevent",  # the customer's key was made for this
    }  # fmt: skip
    for _ in range(2):
        assert world.ben.post(f"/true-ups/{asked['id']}/approve")["state"] == "approved"
    assert [row["granted"] for row in quarters(world, commit)[:3]] == [
        "30500.000000000000", "30500.000000000000", "30500.000000000000",
    ]  # fmt: skip
