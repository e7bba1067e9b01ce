"""Metering's addresses: statuses, permissions, and what stands in the answers."""

import gzip
import json
from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, Customer
from billing.services import clock
from metering.api import throttling
from metering.models import Price, UsageEvent
from tests.api_clients import api_client
from tests.metering.conftest import NOW, make_customer, open_terms
from tests.metering.sending import event, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]
URL = "/api/v1/usage"
client = partial(api_client, now=NOW)


@pytest.fixture(autouse=True)
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def agent(acme: Customer) -> APIClient:
    return client(ApiKeyKind.AGENT)


@pytest.fixture
def finance(acme: Customer) -> APIClient:
    return client(ApiKeyKind.FINANCE, name="ada")


def post(agent: APIClient, *events: Any, **options: Any) -> Any:
    options = {"content_type": "application/cloudevents-batch+json", **options}
    return agent.post(URL, data=json.dumps(events).encode(), **options)


def test_all_accepted_is_200_some_207_none_422(agent: APIClient) -> None:
    answer = post(agent, tokens("a"), tokens("a"))
    assert (answer.status_code, answer.json()) == (
        200, {"accepted": 1, "duplicates": 1, "unrated": 1, "refused": []},
    )  # fmt: skip
    answer = post(agent, tokens("b"), tokens("c", subject="nobody"))
    assert answer.status_code == 207
    [refused] = answer.json()["refused"]
    assert (refused["index"], refused["id"], refused["code"]) == (1, "c", "unknown_customer")
    assert refused["detail"]
    assert post(agent, tokens("c", subject="nobody")).status_code == 422
    assert post(agent).status_code == 200


def test_one_event_and_gzip_are_taken(agent: APIClient) -> None:
    one = json.dumps(tokens("a")).encode()
    answer = agent.post(
        URL, data=gzip.compress(one), content_type="application/cloudevents+json; charset=utf-8",
        headers={"Content-Encoding": "gzip"},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert agent.post(URL, data=one, content_type="application/json").json()["duplicates"] == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_body"),
        (b"", "application/json", 400, "malformed_body"),
        (b"{}", "application/cloudevents-batch+json", 400, "malformed_body"),
        (b"[]", "text/plain", 415, "unsupported_media_type"),
        (b"[" + b"1," * 10_000 + b"1]", "application/json", 413, "too_large"),
        (b"[" + b" " * 16 * 2**20 + b"]", "application/json", 413, "too_large"),
        (b"[" + b" " * 17 * 2**20 + b"]", "application/json", 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_read_changes_nothing(
    agent: APIClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = agent.post(URL, data=body, content_type=content_type)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"].startswith("application/problem+json")
    assert not UsageEvent.objects.exists()


def test_only_agents_post_usage_and_only_for_their_customers(
    acme: Customer, bolt: Customer, finance: APIClient
) -> None:
    assert post(finance, tokens("a")).status_code == 403
    assert post(APIClient(), tokens("a")).status_code == 401
    limited = client(ApiKeyKind.AGENT, customers=[bolt])
    answer = post(limited, tokens("a"), tokens("b", subject="bolt"))
    assert answer.json()["refused"][0]["code"] == "unknown_customer"
    assert [kept.customer_id for kept in UsageEvent.objects.all()] == [bolt.pk]


@pytest.mark.parametrize("key", ["null", "a.b-c_d", "0"])
def test_any_key_that_a_customer_may_have_is_found(agent: APIClient, key: str) -> None:
    make_customer(key)
    assert post(agent, tokens("a", subject=key)).json()["accepted"] == 1
    for nobody in ('nu"ll', "a,b", "{}", "a\\", "NULL", " "):
        assert post(agent, tokens("a", subject=nobody)).status_code == 422


def test_too_fast_is_429_and_says_when(agent: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_buckets", throttling.TokenBuckets(0.5, clock=lambda: 0.0))
    assert post(agent, tokens("a")).status_code == 200
    answer = post(agent, tokens("b"))
    assert (answer.status_code, answer["Retry-After"]) == (429, "2")
    assert UsageEvent.objects.count() == 1


def test_a_bucket_fills_up_again_but_not_over() -> None:
    seconds = [0.0]
    buckets = throttling.TokenBuckets(1, clock=lambda: seconds[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    assert buckets.take("b") == 0
    seconds[0] = 1000.0
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]


def test_usage_is_read_by_group(agent: APIClient, acme: Customer, finance: APIClient) -> None:
    open_terms(acme, discount="0")
    data = {"sku": "h100", "mode": "dedicated", "gpu_seconds": 3600, "busy_gpu_seconds": 900}
    labelled = tokens("b", time="2026-02-04T00:00:00Z")
    labelled["data"]["project"] = "search"
    post(agent, tokens("a"), labelled, event("g", "gpu", data), tokens("w", model="unheard-of"))
    url = "/api/v1/customers/acme/usage"
    whole = finance.get(url).json()
    assert [
        (row["day"], row["model"], row["quantity"], row["rate"], row["amount"])
        for row in whole["results"]
    ] == [
        ("2026-02-03", "h100", 3600, "0.001000000000", "3.600000000000"),
        ("2026-02-03", "llama", 1000000, "0.000002000000", "2.000000000000"),
        ("2026-02-04", "llama", 1000000, "0.000002000000", "2.000000000000"),
    ]
    assert whole["idle"] == {"gpu_seconds": 2700, "amount": "2.700000000000"}
    by_project = finance.get(url + "?group_by=project&from=2026-02-03&to=2026-03-01").json()
    assert [(row["project"], row["amount"]) for row in by_project["results"]] == [
        ("search", "2.000000000000"), (None, "5.600000000000"),
    ]  # fmt: skip
    one_day = finance.get(url + "?group_by=meter&from=2026-02-04&to=2026-02-05").json()["results"]
    assert [(row["meter"], row["quantity"]) for row in one_day] == [("output_tokens", 1000000)]


@pytest.mark.parametrize(
    "query", ["group_by=colour", "from=2026-02-03T00:30:00Z", "from=soon", "to=2026-02-30"]
)
def test_a_wrong_question_is_422(finance: APIClient, query: str) -> None:
    assert finance.get(f"/api/v1/customers/acme/usage?{query}").status_code == 422


def test_a_customer_reads_its_own_usage_alone(acme: Customer, bolt: Customer) -> None:
    own = client(ApiKeyKind.CUSTOMER, customers=[bolt])
    assert own.get("/api/v1/customers/bolt/usage").status_code == 200
    assert own.get("/api/v1/customers/acme/usage").status_code == 404
    assert own.get("/api/v1/prices").status_code == 403


def test_a_rate_is_explained(acme: Customer, finance: APIClient) -> None:
    open_terms(acme, discount="0.2")
    asked = "model=llama&mode=batch&meter=output_tokens&at=2026-02-03T10:59:00Z"
    found = finance.get(f"/api/v1/customers/acme/rate?{asked}").json()
    assert (found["list_price"], found["filled_from"], found["factor"]) == (
        "1.000000000000", "serverless output_tokens", "0.500000000000",
    )  # fmt: skip
    assert (found["discount"], found["rate"]) == ("0.200000000000", "0.000000800000")
    nothing = finance.get("/api/v1/customers/acme/rate?model=x&mode=batch&meter=images")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "no_price")


def test_prices_and_meters_are_added_and_listed(finance: APIClient) -> None:
    meter = {"key": "songs", "unit": "song"}
    assert finance.post("/api/v1/meters", meter, format="json").status_code == 201
    price = {
        "sku": "suno", "mode": "serverless", "meter": "songs", "price": "0.25",
        "effective_at": "2026-01-01T01:00:00+01:00",
    }  # fmt: skip
    made = finance.post("/api/v1/prices", price, format="json", headers={"Idempotency-Key": "k"})
    assert (made.status_code, made.json()["effective_at"]) == (201, "2026-01-01T00:00:00Z")
    again = finance.post("/api/v1/prices", price, format="json", headers={"Idempotency-Key": "k"})
    assert again.json() == made.json()
    listed = finance.get("/api/v1/prices?model=suno").json()
    assert listed == {"results": [made.json()], "next": None}
    assert "songs" in [one["key"] for one in finance.get("/api/v1/meters").json()["results"]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"effective_at": "2026-01-01T00:30:00Z"}, "not_a_whole_hour"),
        ({"price": 0.1}, "invalid_input"), ({"price": "1e3"}, "invalid_input"),
        ({"price": "0.0000000000001"}, "invalid_input"), ({"meter": "songs"}, "unknown_meter"),
        ({"sku": "m"}, "invalid_input"), ({"mode": "fast"}, "invalid_input"),
        ({"colour": "red"}, "invalid_input"), ({"model": None}, "invalid_input"),
    ],
)  # fmt: skip
def test_a_price_that_cannot_be_is_422(
    finance: APIClient, change: dict[str, Any], code: str
) -> None:
    price = {
        "model": "m", "mode": "serverless", "meter": "images", "price": "1",
        "effective_at": "2026-01-01T00:00:00Z", **change,
    }  # fmt: skip
    answer = finance.post("/api/v1/prices", price, format="json")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not Price.objects.filter(model="m").exists()
