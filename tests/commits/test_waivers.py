"""Usage without a price is waived by two people with a reason, and stays waived: it lets the close
of its quarter pass, and no price that comes later rates it."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from billing.domain.errors import BillingError, Conflict, InvalidInput, NotFound, NotPermitted
from billing.models import ApiKeyKind, AuditEvent, Customer, RequestState
from billing.services import api_keys, clock
from commits.models import Commit
from commits.services import books, closes
from commits.services.explained import explained_share
from metering.models import UnratedUsage, Waiver
from metering.services import price_book, waivers
from metering.services.proof import rederive_rollups
from tests.api_clients import api_client
from tests.commits.world import at, figures, make_customer, send, use

pytestmark = pytest.mark.django_db(transaction=True)
NOW = at("2026-04-05")


def unpriced(name: str, model: str = "new", dollars: int = 4) -> None:
    event = {
        "specversion": "1.0", "id": name, "source": "test", "subject": "acme",
        "time": "2026-01-10T00:00:00Z", "type": "inference.usage",
        "data": {"model": model, "mode": "serverless", "quantities": {"dollars": dollars}},
    }  # fmt: skip
    send([event], now=at("2026-01-11"))


def price(model: str = "new") -> None:
    price_book.add_price(
        model=model, mode="serverless", meter="dollars", price=Decimal(10),
        effective_at=at("2026-01-01"), actor_name="ada", now=NOW,
    )  # fmt: skip


def asked(customer: Customer, **what: Any) -> Waiver:
    given = {"events": [("test", "free")], "reason": "a trial that sales promised"} | what
    return waivers.request_waiver(customer=customer, actor_name="ada", now=NOW, **given)


def approved(waiver: Waiver, by: str = "bob") -> Waiver:
    return waivers.approve_waiver(waiver_id=waiver.pk, actor_name=by, now=NOW)


def resolutions() -> dict[str, str]:
    rows: Any = waivers.unrated_usage()
    return {row.event_name: row.resolution for row in rows}


@pytest.fixture
def waiting(acme: Customer, commit: Commit) -> Customer:
    """Q1 with priced usage and two events without a price."""
    use(acme, "100", "2026-01-10", now=at("2026-01-11"))
    unpriced("free")
    unpriced("other", model="newer")
    return acme


def test_a_waiver_lets_the_close_pass_and_a_later_price_rates_nothing(
    acme: Customer, commit: Commit
) -> None:
    unpriced("free")
    [row] = closes.run_closes(as_of=NOW, now=NOW)
    assert row.needs_human == ("unrated_usage: 1 events have no price",)
    waiver = asked(acme)
    assert resolutions() == {"free": ""}
    assert closes.run_closes(as_of=NOW, now=NOW)[0].needs_human, "a request changes nothing"
    approved(waiver)
    assert resolutions() == {"free": "waived"}
    [row] = closes.run_closes(as_of=NOW, now=NOW)
    assert (row.state, row.needs_human) == ("posted", ())
    price()
    books.sync_books(origin_ids=[commit.pk], now=NOW)
    assert resolutions() == {"free": "waived"}
    assert figures(commit)[0] == ("30000", "0", "0", "0", "30000")
    assert rederive_rollups() == []
    unpriced("later")
    assert resolutions() == {"free": "waived"}, "what comes after the price is rated by it"


def test_only_what_the_request_names_is_waived(waiting: Customer) -> None:
    approved(asked(waiting))
    assert resolutions() == {"free": "waived", "other": ""}
    unpriced("after", model="newer")
    by_model = asked(waiting, events=(), model="newer")
    unpriced("too-late", model="newer")
    approved(by_model)
    assert resolutions() == {
        "free": "waived", "other": "waived", "after": "waived", "too-late": "",
    }  # fmt: skip
    assert rederive_rollups() == []


def test_who_asks_does_not_approve(waiting: Customer) -> None:
    waiver = asked(waiting)
    with pytest.raises(NotPermitted, match="may not approve"):
        approved(waiver, by="ada")
    assert (resolutions()["free"], Waiver.objects.get().state) == ("", RequestState.REQUESTED)
    with pytest.raises(IntegrityError, match="waiver_is_approved_by_another"), transaction.atomic():
        Waiver.objects.update(state=RequestState.APPROVED, decided_by="ada")


def test_a_price_that_came_first_wins(waiting: Customer, commit: Commit) -> None:
    waiver = asked(waiting)
    price()
    with pytest.raises(Conflict, match="meanwhile") as refused:
        approved(waiver)
    assert refused.value.code == "nothing_waits"
    assert resolutions()["free"] == "rated"
    assert figures(commit)[0][2] == "132"
    books.sync_books(origin_ids=[commit.pk], now=NOW)
    assert explained_share().text == "1"


def test_a_decision_is_final_and_repeats_itself(waiting: Customer) -> None:
    first, second = asked(waiting), asked(waiting, events=[("test", "other")])
    assert approved(approved(first)).decided_by == "bob"
    with pytest.raises(Conflict):
        waivers.reject_waiver(waiver_id=first.pk, actor_name="bob", now=NOW)
    waivers.reject_waiver(waiver_id=second.pk, actor_name="bob", now=NOW)
    waivers.reject_waiver(waiver_id=second.pk, actor_name="cy", now=NOW)
    with pytest.raises(Conflict):
        approved(second)
    assert resolutions() == {"free": "waived", "other": ""}
    audit = AuditEvent.objects.filter(object_type="waiver").order_by("pk")
    assert list(audit.values_list("action", "actor_name")) == [
        ("request", "ada"), ("request", "ada"), ("approve", "bob"), ("reject", "bob"),
    ]  # fmt: skip
    assert audit[0].details["reason"] == "a trial that sales promised"


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ({"reason": "  "}, InvalidInput),
        ({"model": "new"}, InvalidInput),
        ({"events": ()}, InvalidInput),
        ({"events": [("test", "free"), ("test", "never")]}, NotFound),
        ({"events": (), "model": "any"}, NotFound),
    ],
)
def test_what_makes_no_sense_is_refused(
    waiting: Customer, what: dict[str, Any], kind: type[BillingError]
) -> None:
    with pytest.raises(kind):
        asked(waiting, **what)
    assert not Waiver.objects.exists()


def test_another_customers_events_are_not_found(waiting: Customer) -> None:
    with pytest.raises(NotFound):
        asked(make_customer("bolt"))


def test_over_the_api(waiting: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    bolt = make_customer("bolt")
    client = partial(api_client, now=NOW)
    ada, bob = (client(ApiKeyKind.FINANCE, name=name) for name in ("ada", "bob"))
    own = client(ApiKeyKind.CUSTOMER, customers=[waiting])
    other = client(ApiKeyKind.CUSTOMER, customers=[bolt])
    page = ada.get("/api/v1/unrated?limit=1").json()
    assert (page["results"][0]["event"], page["results"][0]["state"]) == ("other", "waiting")
    assert [row["event"] for row in ada.get(page["next"]).json()["results"]] == ["free"]
    assert len(own.get("/api/v1/unrated").json()["results"]) == 2
    assert other.get("/api/v1/unrated").json()["results"] == []
    assert other.get("/api/v1/unrated?customer=acme").status_code == 404
    body = {
        "customer": "acme", "events": [{"source": "test", "id": "free"}], "reason": "a trial",
    }  # fmt: skip
    assert own.post("/api/v1/waivers", body, format="json").status_code == 403
    made = ada.post("/api/v1/waivers", body, format="json")
    assert (made.status_code, made.json()["quantities"]) == (201, 1)
    address = f"/api/v1/waivers/{made.json()['id']}"
    assert ada.post(f"{address}/approve").status_code == 403
    said = bob.post(f"{address}/approve").json()
    assert (said["state"], said["requested_by"], said["decided_by"]) == ("approved", "ada", "bob")
    assert bob.post(f"{address}/reject").status_code == 409
    [waived] = ada.get("/api/v1/unrated?state=waived&customer=acme").json()["results"]
    assert (waived["event"], waived["quantity"]) == ("free", 4)
    assert ada.get("/api/v1/waivers").json()["results"][0]["state"] == "approved"


def test_in_the_admin(waiting: Customer) -> None:
    ada, bob = Client(), Client()
    ada.force_login(api_keys.ensure_controller(name="ada"))
    bob.force_login(api_keys.ensure_controller(name="bob"))
    form = {"customer": waiting.pk, "model": "new", "reason": "a trial"}
    assert ada.post("/admin/metering/waiver/add/", form).status_code == 302
    waiver = Waiver.objects.get()
    page = f"/admin/metering/waiver/{waiver.pk}"
    assert "a trial" in bob.get(f"{page}/change/").content.decode()
    assert "a trial" in bob.get("/admin/metering/waiver/").content.decode()
    bob.get(f"{page}/approve/")
    ada.post(f"{page}/approve/")
    assert resolutions()["free"] == ""
    bob.post(f"{page}/approve/")
    assert resolutions() == {"free": "waived", "other": ""}
    assert UnratedUsage.objects.filter(resolution="waived").count() == 1
