"""The REST addresses: who may, which refusal is which problem, and that it changes nothing."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import AuditEvent, Customer, Posting
from billing.services import ledger
from tests.billing import cast
from tests.billing.conftest import Caller

BOLT = {"key": "bolt", "name": "Bolt", "email": "billing@bolt.example", "timezone": "Europe/Paris"}


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["code"] == code
    assert {"type", "title", "detail"} <= set(body)
    return body


def test_finance_creates_a_customer_and_is_the_actor(finance: APIClient) -> None:
    response = finance.post("/api/v1/customers", BOLT, format="json")
    assert response.status_code == 201
    assert response.json()["id"] == "bolt"
    event = AuditEvent.objects.get(action="customer.created")
    assert event.actor is not None
    assert (event.actor_name, event.customer_key) == ("ada", "bolt")
    listed = finance.get("/api/v1/customers").json()
    assert [row["key"] for row in listed["results"]] == ["bolt"]
    assert listed["next"] is None
    problem(finance.post("/api/v1/customers", BOLT, format="json"), 409, "customer_exists")


@pytest.mark.parametrize(
    "change",
    [
        {"key": "Bolt"}, {"key": "../x"}, {"key": ""}, {"key": "x" * 65}, {"key": 5}, {"name": " "},
        {"email": "nobody"}, {"timezone": "Mars/Base"}, {"timezone": "../etc/passwd"},
        {"vat": "DE1"}, {"name": "a\x00b"}, {"key": None},
    ],
)  # fmt: skip
def test_a_wrong_customer_is_invalid_input(finance: APIClient, change: dict[str, Any]) -> None:
    response = finance.post("/api/v1/customers", BOLT | change, format="json")
    assert problem(response, 422, response.json()["code"])["code"].startswith("invalid_")
    assert not Customer.objects.exists()


def test_malformed_json_and_other_media_types(finance: APIClient) -> None:
    post = finance.generic
    url = "/api/v1/customers"
    problem(post("POST", url, "{", content_type="application/json"), 400, "malformed_request")
    problem(post("POST", url, "[1]", content_type="application/json"), 422, "invalid_input")
    problem(post("POST", url, "x", content_type="text/csv"), 415, "unsupported_media_type")
    problem(finance.delete(url), 405, "method_not_allowed")


def test_without_a_key_with_a_wrong_one_and_with_one_of_the_wrong_kind(
    acme: Customer, caller: Caller
) -> None:
    anonymous = problem(APIClient().get("/api/v1/customers"), 401, "invalid_key")
    assert anonymous["title"]
    wrong = caller("fin_0000000000000000_00")
    problem(wrong.get("/api/v1/customers"), 401, "invalid_key")
    assert "Bearer" in wrong.get("/api/v1/customers")["WWW-Authenticate"]
    basic = APIClient()
    basic.credentials(HTTP_AUTHORIZATION="Basic YTpi")
    problem(basic.get("/api/v1/customers"), 401, "invalid_key")
    for key in (cast.agent_key(), cast.customer_key(acme)):
        problem(caller(key).get("/api/v1/customers"), 403, "wrong_kind_of_key")
        response = caller(key).post("/api/v1/customers", BOLT, format="json")
        problem(response, 403, "wrong_kind_of_key")
    assert Customer.objects.count() == 1


def test_a_customer_sees_itself_and_nobody_else(acme: Customer, caller: Caller) -> None:
    dune = cast.make_customer("dune")
    theirs, ours = cast.make_invoice(dune), cast.make_invoice(acme)
    client = caller(cast.customer_key(acme))
    for path in ("", "/invoices", "/entries"):
        assert client.get(f"/api/v1/customers/acme{path}").status_code == 200
        foreign = client.get(f"/api/v1/customers/dune{path}")
        nobody = client.get(f"/api/v1/customers/nobody{path}")
        problem(foreign, 404, "customer_not_found")
        problem(nobody, 404, "customer_not_found")
        assert foreign.json()["detail"].replace("dune", "") == nobody.json()["detail"].replace(
            "nobody", ""
        )
    assert client.get(f"/api/v1/invoices/{ours.pk}").status_code == 200
    problem(client.get(f"/api/v1/invoices/{theirs.pk}"), 404, "invoice_not_found")
    problem(client.post(f"/api/v1/invoices/{ours.pk}/void"), 403, "wrong_kind_of_key")
    ours.refresh_from_db()
    assert ours.state == "draft"
    agent = caller(cast.agent_key())
    problem(agent.get("/api/v1/customers/acme/invoices"), 403, "wrong_kind_of_key")


def test_invoices_and_entries_as_documented(acme: Customer, finance: APIClient) -> None:
    invoice = cast.make_invoice(acme)
    ledger.post_entry(entry=cast.usage_entry(acme, "e1", "22000.5"), now=cast.NOW)
    shown = finance.get(f"/api/v1/invoices/{invoice.pk}").json()
    assert (shown["state"], shown["total_cents"], shown["number"]) == ("draft", 3_350_000, None)
    assert [(row["kind"], row["quarter"], row["amount_cents"]) for row in shown["lines"]] == [
        ("instalment", 2, 3_000_000), ("overage", 1, 350_000),
    ]  # fmt: skip
    assert finance.get("/api/v1/customers/acme/invoices").json()["results"] == [shown]
    (entry,) = finance.get("/api/v1/customers/acme/entries").json()["results"]
    assert (entry["key"], entry["code"], entry["quarter"]) == ("e1", "usage.drawdown", 1)
    first, second = Posting.objects.order_by("pk").values_list("pk", flat=True)
    assert entry["postings"] == [
        {
            "id": str(first),
            "account": "deferred_revenue",
            "quarter": 1,
            "amount": "22000.500000000000",
        },
        {
            "id": str(second),
            "account": "usage_revenue",
            "quarter": None,
            "amount": "-22000.500000000000",
        },
    ]
    assert [row["id"] for row in shown["lines"]] == [str(row.pk) for row in invoice.lines.all()]
    of_other = f"/api/v1/customers/acme/entries?commit={invoice.commit_id}"
    assert finance.get(of_other).json()["results"] == []
    problem(finance.get("/api/v1/customers/acme/entries?commit=5"), 422, "invalid_input")


def test_lists_go_on_by_cursor_while_rows_are_added(acme: Customer, finance: APIClient) -> None:
    for number in range(5):
        entry = cast.usage_entry(acme, f"e{number}", "1")
        ledger.post_entry(entry=entry, now=cast.NOW)
    seen, url = [], "/api/v1/customers/acme/entries?limit=2"
    while url:
        page = finance.get(url).json()
        seen += [entry["key"] for entry in page["results"]]
        url = page["next"]
        if len(seen) == 2:
            ledger.post_entry(entry=cast.usage_entry(acme, "new", "1"), now=cast.NOW)
    assert seen == ["e4", "e3", "e2", "e1", "e0"]


def test_what_has_no_address_is_a_problem_as_well(finance: APIClient) -> None:
    problem(finance.get("/api/v1/nothing"), 404, "not_found")
    problem(finance.get("/api/v1/invoices/5"), 404, "not_found")


def test_what_nobody_foresaw_is_answered_without_details(
    finance: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("billing.services.customers.list_customers", fail)
    body = problem(finance.get("/api/v1/customers"), 500, "internal_error")
    assert "secret" not in str(body)
