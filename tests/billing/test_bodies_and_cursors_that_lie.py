"""A malformed body is 400 and a made-up cursor 404, never 500; no row is skipped among equals."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from billing.models import Customer
from metering.models import Meter, Price
from tests.billing import cast

BODIES = {
    "a deep nest": b"[" * 100_000 + b"]" * 100_000,
    "a nest that never ends": b"[" * 100_000,
    "one deeper than any of ours": b'{"key":' * 40 + b"1" + b"}" * 40,
    "half a surrogate pair as a name": b'{"\\ud800": 1}',
    "half a surrogate pair as a value": b'{"key": "\\ud800"}',
    "a name twice": b'{"key": "bolt", "key": "dune", "name": "B", "email": "b@b.example"}',
    "NaN": b'{"key": NaN}',
    "no UTF-8": b'{"key": "\xff"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("headers", [{}, {"HTTP_IDEMPOTENCY_KEY": "k"}], ids=["plain", "once"])
def test_a_malformed_body_is_400(finance: APIClient, body: bytes, headers: dict[str, Any]) -> None:
    answer = finance.post("/api/v1/customers", body, content_type="application/json", **headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")
    assert not Customer.objects.exists()


@pytest.mark.parametrize("cursor", ["p=abc", "p=%00", "r=1&p=zzz", "o=99999999999999999999"])
@pytest.mark.parametrize("list_", ["", "/acme/entries", "/acme/invoices"])
def test_a_cursor_that_names_no_place_is_not_500(
    finance: APIClient, acme: Customer, cursor: str, list_: str
) -> None:
    made_up = base64.b64encode(cursor.encode()).decode()
    answer = finance.get(f"/api/v1/customers{list_}", {"cursor": made_up})
    assert answer.status_code in (200, 404)


def test_a_list_passes_any_number_of_equals(finance: APIClient) -> None:
    # A test that commits is followed by emptied tables, the built-in meters among them.
    meter, _ = Meter.objects.get_or_create(key="output_tokens", defaults={"unit": "token"})
    Price.objects.bulk_create(
        Price(
            model="m",
            mode="batch",
            meter=meter,
            price=1,
            effective_at=cast.NOW.replace(minute=0) + timedelta(hours=hour),
            created_at=cast.NOW,
        )
        for hour in range(1100)
    )
    seen: list[str] = []
    url: str | None = "/api/v1/prices?limit=500"
    while url and len(seen) <= 1100:
        page = finance.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen)) == 1100
