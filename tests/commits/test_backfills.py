"""A backfill is staged, previewed in money, approved by another, and applied once; or discarded."""

import json
from collections.abc import Sequence
from decimal import Decimal as D
from functools import partial
from typing import Any

import pytest

from billing.domain.errors import BillingError, InvalidInput, NotPermitted
from billing.models import ApiKeyKind, Customer
from billing.services import proof as billing_proof
from commits.models import Backfill, BackfillKind, BackfillShare, Commit
from commits.services import backfills, closes, daily, proof
from metering.models import UsageEvent
from tests.api_clients import api_client
from tests.commits.world import at, figures, make_customer, signed, use

pytestmark = pytest.mark.django_db(transaction=True)

NOW = at("2026-05-02")


@pytest.fixture
def closed(acme: Customer, commit: Commit) -> Customer:
    """Q1 used 22,000 of 30,000 and is posted; Q2 has used 41,500 so far."""
    use(acme, "20000", "2026-02-01", now=at("2026-02-01"), event_id="most")
    use(acme, "2000", "2026-03-01", now=at("2026-03-01"), event_id="some")
    closes.run_closes(as_of=at("2026-04-04"), now=at("2026-04-04"))
    use(acme, "41500", "2026-05-01", now=at("2026-05-01"))
    daily.draw_down(now=at("2026-05-01"))
    return acme


def event(name: str, dollars: int, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": "test", "subject": "acme",
        "time": "2026-02-01T00:00:00+00:00", "type": "inference.usage",
        "data": {"model": "any", "mode": "serverless", "quantities": {"dollars": dollars}}, **more,
    }  # fmt: skip


def declared(kind: BackfillKind, keys: Sequence[str] = ("acme",)) -> Backfill:
    return backfills.declare_backfill(
        source="test",
        starts_at=at("2026-01-01"),
        ends_at=at("2026-04-01"),
        kind=kind,
        customer_keys=keys,
        reason="the gateway lost a day",
        actor_name="ada",
        now=NOW,
    )


def stage(backfill: Backfill, *events: dict[str, Any]) -> int:
    return backfills.stage_events(backfill_id=backfill.pk, body=json.dumps(events).encode())


def approve(backfill: Backfill, actor: str = "bob") -> Backfill:
    return backfills.approve_backfill(backfill_id=backfill.pk, actor_name=actor, now=NOW)


def books_are_right() -> bool:
    daily.draw_down(now=NOW)
    return not (proof.commit_problems() or billing_proof.ledger_problems())


def test_added_events_are_late_usage_and_known_ones_stay(closed: Customer, commit: Commit) -> None:
    backfill = declared(BackfillKind.ADD)
    known = event("most", 20_000)
    assert stage(backfill, event("missed", 500), known) == 2
    before = figures(commit)
    [(key, seen)] = backfills.preview_backfill(backfill_id=backfill.pk, now=NOW)
    assert (key, seen.used_difference) == ("acme", D(500))
    assert next((one.index, one.after.used) for one in seen.quarters if one.is_changed) == (
        1, D(22_500),
    )  # fmt: skip
    assert figures(commit) == before
    with pytest.raises(NotPermitted):
        approve(backfill, "ada")
    approve(backfill)
    assert figures(commit)[0][2] == "22500"
    events = UsageEvent.objects.count()
    approve(backfill)
    assert UsageEvent.objects.count() == events, "once"
    assert books_are_right()


def test_a_replacement_takes_back_what_is_not_staged_again(
    closed: Customer, commit: Commit
) -> None:
    backfill = declared(BackfillKind.REPLACE)
    stage(backfill, event("most", 12_000), event("new", 100))
    [(_, seen)] = backfills.preview_backfill(backfill_id=backfill.pk, now=NOW)
    assert seen.used_difference == D(12_100 - 22_000)
    approve(backfill)
    assert figures(commit)[0][2] == "12100"
    assert books_are_right()
    live = UsageEvent.objects.filter(kind=3, occurred_at__lt=at("2026-04-01"))
    assert {one.event_id.partition("~")[0] for one in live} == {"most", "some", "new"}


def test_a_replacement_of_the_same_changes_nothing(closed: Customer, commit: Commit) -> None:
    backfill = declared(BackfillKind.REPLACE)
    some = event("some", 2_000, time="2026-03-01T00:00:00+00:00")
    stage(backfill, event("most", 20_000), some)
    before = (figures(commit), UsageEvent.objects.count())
    approve(backfill)
    assert (figures(commit), UsageEvent.objects.count()) == before


def test_nothing_staged_voids_all_of_the_source(closed: Customer, commit: Commit) -> None:
    approve(declared(BackfillKind.REPLACE))
    assert figures(commit)[0][2] == "0"
    assert books_are_right()


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": "other"},
        {"subject": "nobody"},
        {"time": "2026-04-01T00:00:00+00:00"},
        {"type": "inference.void", "data": {"source": "test", "id": "most"}},
        {"data": {"model": "any"}},
    ],
)
def test_what_does_not_belong_is_not_staged(closed: Customer, wrong: dict[str, Any]) -> None:
    backfill = declared(BackfillKind.ADD)
    with pytest.raises(InvalidInput) as refused:
        stage(backfill, event("good", 1), event("bad", 1, **wrong))
    assert refused.value.code == "invalid_events"
    assert backfills.staged_counts(backfill_id=backfill.pk) == {"acme": 0}


def test_an_id_that_says_something_else_refuses_an_addition(
    closed: Customer, commit: Commit
) -> None:
    backfill = declared(BackfillKind.ADD)
    stage(backfill, event("missed", 500), event("most", 1))
    before = (figures(commit), UsageEvent.objects.count())
    with pytest.raises(InvalidInput) as refused:
        approve(backfill)
    assert refused.value.code == "backfill_refused"
    backfill.refresh_from_db()
    assert (backfill.state, figures(commit), UsageEvent.objects.count()) == ("requested", *before)


def test_what_was_cut_off_goes_on(closed: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    bolt = make_customer("bolt")
    signed(bolt)
    backfill = declared(BackfillKind.ADD, ("acme", "bolt"))
    stage(backfill, event("a", 1), event("b", 2, subject="bolt"))
    applied = backfills._apply_share
    monkeypatch.setattr(
        backfills,
        "_apply_share",
        lambda one, share, now: (
            applied(one, share, now)
            if BackfillShare.objects.get(pk=share).customer == closed
            else (_ for _ in ()).throw(KeyboardInterrupt)
        ),
    )
    with pytest.raises(KeyboardInterrupt):
        approve(backfill)
    monkeypatch.undo()
    backfill.refresh_from_db()
    assert (backfill.state, backfill.applied_at) == ("approved", None)
    assert UsageEvent.objects.filter(event_id__in=["a", "b"]).count() == 1
    assert backfills.apply_approved(now=NOW) == 1
    assert UsageEvent.objects.filter(event_id__in=["a", "b"]).count() == 2
    assert backfills.apply_approved(now=NOW) == 0
    assert books_are_right()


def test_discarded_it_never_becomes_usage(closed: Customer) -> None:
    backfill = declared(BackfillKind.ADD)
    stage(backfill, event("missed", 500))
    backfills.reject_backfill(backfill_id=backfill.pk, actor_name="bob", now=NOW, why="no")
    for late in (lambda: approve(backfill), lambda: stage(backfill, event("more", 1))):
        with pytest.raises(BillingError) as refused:
            late()
        assert refused.value.code == "not_open"
    assert not UsageEvent.objects.filter(event_id="missed").exists()


def test_over_rest(closed: Customer, commit: Commit) -> None:
    client = partial(api_client, now=NOW)
    ada, bob = (client(ApiKeyKind.FINANCE, name=name) for name in ("ada", "bob"))
    given = {
        "source": "test", "from": "2026-01-01T00:00:00Z", "to": "2026-04-01T00:00:00Z",
        "kind": "add", "customers": ["acme"], "reason": "the gateway lost a day",
    }  # fmt: skip
    for other in (client(ApiKeyKind.CUSTOMER, customers=[closed]), client(ApiKeyKind.AGENT)):
        assert other.post("/api/v1/backfills", given, format="json").status_code == 403
    assert not Backfill.objects.exists()
    made = ada.post("/api/v1/backfills", given, format="json")
    assert (made.status_code, made.json()["state"]) == (201, "requested")
    url = f"/api/v1/backfills/{made.json()['id']}"
    staged = ada.post(f"{url}/events", [event("missed", 500)], format="json")
    assert staged.json() == {"staged": 1}
    preview = ada.get(f"{url}/preview").json()["results"]
    assert (preview[0]["customer"], preview[0]["used_difference"]) == ("acme", "500.000000000000")
    assert ada.post(f"{url}/approve").status_code == 403
    assert bob.post(f"{url}/approve").json()["applied_at"]
    assert ada.get(url).json()["staged"] == {"acme": 1}
    assert figures(commit)[0][2] == "22500"
