"""Raw events by cursor: every one once, however many share an instant; and exported."""

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, Customer
from billing.services import clock
from tests.api_clients import api_client
from tests.metering.conftest import NOW, open_terms
from tests.metering.sending import event, send, tokens, void

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]
URL = "/api/v1/customers/acme/usage/events"


@pytest.fixture(autouse=True)
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def finance(acme: Customer) -> APIClient:
    return api_client(ApiKeyKind.FINANCE, now=NOW, name="ada")


def pages(client: APIClient, url: str) -> list[list[dict[str, Any]]]:
    found = []
    following: str | None = url
    while following:
        answer = client.get(following).json()
        found.append(answer["results"])
        following = answer["next"]
    return found


def test_no_event_is_skipped_or_told_twice_at_one_instant(
    acme: Customer, bolt: Customer, finance: APIClient
) -> None:
    send(*(tokens(f"e{number}") for number in range(25)), tokens("x", subject="bolt"))
    send(*(tokens(f"l{number}", time="2026-02-09T00:00:00.000001Z") for number in range(5)))
    found = pages(finance, f"{URL}?limit=7")
    assert [len(page) for page in found] == [7, 7, 7, 7, 2]
    listed = [one["id"] for page in found for one in page]
    assert sorted(listed[:25]) == sorted(f"e{number}" for number in range(25))
    assert sorted(listed[25:]) == [f"l{number}" for number in range(5)]


def test_what_comes_in_behind_the_cursor_is_seen_and_before_it_is_not_told_twice(
    acme: Customer, finance: APIClient
) -> None:
    send(*(tokens(f"e{number}") for number in range(4)))
    first = finance.get(f"{URL}?limit=3").json()
    send(tokens("early", time="2026-02-01T00:00:00Z"), tokens("late", time="2026-02-04T00:00:00Z"))
    rest = [one["id"] for page in pages(finance, first["next"]) for one in page]
    assert len(rest) == 2 and rest[-1] == "late"
    assert {one["id"] for one in first["results"]} | set(rest) == {"e0", "e1", "e2", "e3", "late"}


def test_an_event_is_shown_as_it_was_reported(acme: Customer, finance: APIClient) -> None:
    open_terms(acme)
    data = {
        "model": "flux", "mode": "serverless", "quantities": {"images": 4}, "endpoint": "e",
        "project": "p", "region": "r", "async": True,
    }  # fmt: skip
    send(event("a", "usage", data), void("v", "a", time="2026-02-03T10:00:01Z"))
    shown, taken_back_by = finance.get(URL).json()["results"]
    assert shown["time"] == "2026-02-03T10:00:00Z"
    assert shown["received_at"] == "2026-02-10T12:00:00Z"
    assert (shown["type"], shown["seq"], shown["quantities"]) == (
        "inference.usage",
        1,
        {"images": 4},
    )
    labels = ("endpoint", "project", "region", "async")
    assert [shown[name] for name in labels] == ["e", "p", "r", True]
    assert shown["voided_by"] == {"source": "gateway/1", "id": "v"}
    assert taken_back_by["target"] == {"source": "gateway/1", "id": "a"}


def test_the_window_is_half_open(acme: Customer, finance: APIClient) -> None:
    for number in range(3):
        send(tokens(f"e{number}", time=f"2026-02-0{number + 1}T00:00:00Z"))
    answer = finance.get(f"{URL}?from=2026-02-02&to=2026-02-03").json()
    assert [one["id"] for one in answer["results"]] == ["e1"]
    assert answer["next"] is None


# As cursors once were: 2026-02-03T10:00:00+00:00 and an event key of 32 zeros.
OF_KEYS = "MjAyNi0wMi0wM1QxMDowMDowMCswMDowMCAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA=="


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "cursor=!!", "cursor=YQ==",
                                   "cursor=MDAwMS0wMS0wMSAw", f"cursor={OF_KEYS}",
                                   "from=soon"])  # fmt: skip
def test_a_wrong_question_is_422(acme: Customer, finance: APIClient, query: str) -> None:
    assert finance.get(f"{URL}?{query}").status_code == 422


def test_everything_is_exported(acme: Customer, finance: APIClient) -> None:
    send(tokens("=1+1"), *(tokens(f"e{number}", output=number) for number in range(3)))
    answer = finance.get(f"{URL}.jsonl")
    lines = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]  # type: ignore[attr-defined]
    assert {line["id"] for line in lines} == {"=1+1", "e0", "e1", "e2"}
    assert sum(line["output_tokens"] for line in lines) == 1_000_003
    text = b"".join(finance.get(f"{URL}.csv").streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["id"] for row in rows} == {"'=1+1", "e0", "e1", "e2"}
    assert datetime.fromisoformat(rows[0]["time"]) < NOW + timedelta(minutes=5)


def test_a_customer_exports_its_own_events_alone(acme: Customer, bolt: Customer) -> None:
    own = api_client(ApiKeyKind.CUSTOMER, now=NOW, customers=[bolt])
    assert own.get(URL.replace("acme", "bolt")).status_code == 200
    for url in (URL, f"{URL}.csv", f"{URL}.jsonl"):
        assert own.get(url).status_code == 404
