"""Previews: of a quarter still running, of one behind another that waits, of a true-up."""

from decimal import Decimal as D

import pytest

from billing.models import Customer
from commits.models import Commit, Grant, TrueUp
from commits.services import closes
from commits.services.previews import preview_true_up
from commits.services.true_ups import TrueUpRequest
from tests.commits.world import at, use

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_running_quarter_shows_what_its_invoice_would_be(acme: Customer, commit: Commit) -> None:
    use(acme, "30100.5", "2026-01-10", now=at("2026-01-11"))
    _, plan, _, reasons = closes.preview_close(commit_id=commit.pk, index=1)
    assert plan.total_cents == 3_010_050
    assert reasons == []


def test_a_quarter_behind_one_in_grace_bills_only_what_is_left(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "30100", "2026-01-10", now=at("2026-01-11"))
    use(acme, "30007", "2026-04-01", now=at("2026-04-02"))
    _, plan, _, _ = closes.preview_close(commit_id=commit.pk, index=2)
    assert [(line.kind.value, line.position, line.cents) for line in plan.lines] == [
        ("instalment", 3, 3_000_000),
        ("overage", 2, 700),
    ]


def test_a_true_up_preview_changes_nothing(acme: Customer, commit: Commit) -> None:
    use(acme, "30100", "2026-01-10", now=at("2026-01-11"))
    preview = preview_true_up(
        commit_id=commit.pk, request=TrueUpRequest(amount=D(500)), now=at("2026-02-01")
    )
    assert (preview.before.overage, preview.after.overage) == (D(100), D(0))
    assert (preview.before.invoice_cents, preview.after.invoice_cents) == (3_010_000, 3_100_000)
    assert preview.after.instalments == ((2, D(30500)), (3, D(30500)), (4, D(30500)))
    assert preview.saves_nothing
    assert TrueUp.objects.count() == 0
    assert {grant.amount for grant in Grant.objects.all()} == {D(30000)}


def test_the_plan_that_was_looked_at_is_the_one_that_is_approved(
    acme: Customer, commit: Commit
) -> None:
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    _, _, digest, _ = closes.preview_close(commit_id=commit.pk, index=1)
    approved = closes.approve_close(
        commit_id=commit.pk, index=1, actor="ben", now=at("2026-04-04"), expected_digest=digest
    )
    assert approved.digest == digest
