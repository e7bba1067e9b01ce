"""An agent's own totals are held against what was stored, hour by hour."""

from functools import partial
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, Customer
from billing.services import clock
from metering.models import ReportedTotal
from tests.api_clients import api_client
from tests.metering.conftest import NOW, open_terms
from tests.metering.sending import event, send, tokens, void

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]
URL = "/api/v1/usage/cross-checks"
HOUR = "2026-02-03T10:00:00Z"
client = partial(api_client, now=NOW)


@pytest.fixture(autouse=True)
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def agent(acme: Customer) -> APIClient:
    open_terms(acme)
    return client(ApiKeyKind.AGENT)


def total(customer: str = "acme", **quantities: int) -> dict[str, Any]:
    return {
        "customer": customer,
        "hour": HOUR,
        "model": "llama",
        "mode": "serverless",
        "quantities": quantities,
    }


def report(agent: APIClient, *totals: dict[str, Any], source: str = "gateway/1") -> Any:
    return agent.post(URL, {"source": source, "totals": list(totals)}, format="json")


def differing(answer: Any) -> list[tuple[str, int, int]]:
    assert answer.status_code == 200, answer.content
    return [(one["meter"], one["reported"], one["stored"]) for one in answer.json()["differences"]]


def test_equal_counts_differ_in_nothing(agent: APIClient) -> None:
    data = {
        "model": "llama", "mode": "serverless", "input_tokens": 900,
        "cached_input_tokens": 300, "output_tokens": 50,
    }  # fmt: skip
    send(event("a", "tokens", data))
    counted = total(input_tokens=900, cached_input_tokens=300, output_tokens=50)
    assert differing(report(agent, counted)) == []


def test_what_is_lost_or_sent_by_others_is_named(agent: APIClient) -> None:
    send(tokens("a", 70))
    assert differing(report(agent, total(output_tokens=100))) == [("output_tokens", 100, 70)]
    send(tokens("late", 30))
    assert differing(report(agent, total(output_tokens=100))) == [], "it came"
    send(tokens("strange", 5, model="qwen"))
    assert differing(report(agent, total(output_tokens=100))) == [("output_tokens", 0, 5)]


def test_usage_that_waits_counts_and_what_was_voided_does_not(agent: APIClient) -> None:
    send(tokens("priceless", 8, model="unheard-of"), tokens("a", 5), tokens("b", 6))
    send(void("v", "b"))
    waits = {**total(output_tokens=8), "model": "unheard-of"}
    assert differing(report(agent, total(output_tokens=5), waits)) == []


def test_sources_add_up_and_a_report_told_again_replaces_the_first(agent: APIClient) -> None:
    send(tokens("a", 70))
    report(agent, total(output_tokens=50))
    assert differing(report(agent, total(output_tokens=40), source="gateway/2")) == [
        ("output_tokens", 90, 70)
    ]
    assert differing(report(agent, total(output_tokens=30))) == []
    assert ReportedTotal.objects.count() == 2


def test_what_is_wrong_is_named_and_nothing_kept(agent: APIClient, bolt: Customer) -> None:
    wrong = [
        total("nobody", output_tokens=1),
        {**total(output_tokens=1), "hour": "2026-02-03T10:30:00Z"},
        total(wishes=1),
        total(input_tokens=1, cached_input_tokens=2),
    ]
    answer = report(agent, total("bolt", output_tokens=1), *wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_totals")
    for words in ("nobody", "whole UTC hour", "wishes", "more cached"):
        assert words in answer.json()["detail"]
    assert report(agent, total(output_tokens=-1)).status_code == 422
    assert not ReportedTotal.objects.exists()


def test_a_key_limited_to_others_may_not_report(agent: APIClient, bolt: Customer) -> None:
    limited = client(ApiKeyKind.AGENT, customers=[bolt])
    assert report(limited, total(output_tokens=1)).status_code == 422
    assert report(limited, total("bolt", output_tokens=1)).status_code == 200


def test_finance_reads_what_differs_and_agents_do_not(agent: APIClient, bolt: Customer) -> None:
    report(agent, total(output_tokens=1), total("bolt", output_tokens=2))
    finance = client(ApiKeyKind.FINANCE, name="ada")
    asked = {"from": "2026-02-03", "to": "2026-02-04"}
    found = finance.get(URL, asked).json()
    assert [one["customer"] for one in found["results"]] == ["acme", "bolt"]
    assert len(finance.get(URL, asked | {"customer": "bolt"}).json()["results"]) == 1
    assert finance.get(URL, {"from": HOUR, "to": HOUR}).status_code == 422
    assert finance.get(URL).json()["results"] == [], "the last two days"
    assert agent.get(URL).status_code == 403
    owner = client(ApiKeyKind.CUSTOMER, customers=[bolt])
    assert owner.get(URL).status_code == 403
    assert report(owner, total("bolt", output_tokens=1)).status_code == 403
