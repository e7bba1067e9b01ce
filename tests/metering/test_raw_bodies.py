"""Whatever bytes are posted: no 500, nothing half-stored, and what is counted is what is there."""

import gzip
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, Customer
from billing.services import clock
from metering.models import UsageEvent
from metering.services.proof import rederive_rollups
from tests.api_clients import api_client
from tests.metering.conftest import NOW, open_terms
from tests.metering.sending import event, tokens, void

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]
URL = "/api/v1/usage"
SOUND = [
    tokens("a"),
    event("g", "gpu", {"sku": "h100", "mode": "dedicated", "gpu_seconds": 60}),
    event("u", "usage", {"model": "flux", "mode": "serverless", "quantities": {"images": 3}}),
    tokens("w", model="unheard-of"),
    void("v", "g"),
]
BODY = json.dumps(SOUND).encode()
ONE = json.dumps(tokens("t")).encode()


@pytest.fixture(autouse=True)
def clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.fixture
def agent(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> APIClient:
    open_terms(acme)
    monkeypatch.setattr("metering.api.throttling._buckets.take", lambda _: 0)
    return api_client(ApiKeyKind.AGENT, now=NOW)


def check(agent: APIClient, body: bytes, **headers: str) -> int:
    """Post, and hold the answer against what is in the database."""
    before = UsageEvent.objects.count()
    answer = agent.post(URL, data=body, content_type="application/json", headers=headers)
    assert answer.status_code in (200, 207, 400, 413, 422), answer.content[:500]
    said = answer.json()
    came = said.get("accepted", 0) if answer.status_code != 400 else 0
    assert UsageEvent.objects.count() - before == came
    assert rederive_rollups() == []
    return answer.status_code


def with_output(text: str) -> bytes:
    return (
        b"[" + ONE.replace(b'"output_tokens": 1000000', f'"output_tokens": {text}'.encode()) + b"]"
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (BODY[:-1], 400), (BODY[: len(BODY) // 2], 400), (BODY + b"]", 400), (b"\xff\xfe", 400),
        (BODY.replace(b"gateway", b"gatew\xffy"), 400), (b"[" * 200_000, 400),
        (b'[{"data":' * 50_000 + b"1" + b"}]" * 50_000, 400), (b"", 400), (b"\0" * 100, 400),
        (with_output("NaN"), 400), (with_output("Infinity"), 400), (with_output(str(2**63)), 422),
        (with_output(str(-(2**63))), 422), (with_output("9" * 100_000), 422),
        (with_output("1e400"), 422), (with_output("1" + "0" * 18), 422), (with_output("0.0"), 422),
        (with_output(str(2**53 - 1)), 200), (with_output("5, \"output_tokens\": 7"), 200),
        (with_output("5, \"output_token\": 7"), 422),
        (with_output("5").replace(b'"t"', b'"\\ud800"'), 422),
        (with_output("5").replace(b'"t"', b'"\\u0000"'), 422),
        (with_output("5").replace(b'"t"', '"\U0001f600"'.encode()), 200),
    ],
)  # fmt: skip
def test_the_nastiest(agent: APIClient, body: bytes, status: int) -> None:
    assert check(agent, body) == status
    assert check(agent, BODY) in (200, 207)


@pytest.mark.parametrize("size", [17, 200])
def test_a_bomb_is_not_unpacked(agent: APIClient, size: int) -> None:
    bomb = gzip.compress(b"[" + b" " * size * 2**20 + b"]", 1)
    assert check(agent, bomb, **{"Content-Encoding": "gzip"}) == 413


def test_the_most_of_everything_at_once(agent: APIClient) -> None:
    """The largest quantities of the dearest meter, a thousand times: refused or counted."""
    data = {"model": "flux", "mode": "serverless", "quantities": {"images": 2**53 - 1}}
    body = [event(f"m{number}", "usage", data) for number in range(300)]
    assert check(agent, json.dumps([*body, tokens("fine")]).encode()) == 207
    assert UsageEvent.objects.count() == 1


noise = st.binary(min_size=1, max_size=12)
places = st.integers(0, len(BODY))
edits = st.lists(st.tuples(places, st.integers(0, 40), noise | st.just(b"")), max_size=3)


def edited(changes: list[tuple[int, int, bytes]], packed: bool) -> tuple[bytes, dict[str, Any]]:
    body = BODY
    for place, gone, new in changes:
        body = body[:place] + new + body[place + gone :]
    return (gzip.compress(body, mtime=0), {"Content-Encoding": "gzip"}) if packed else (body, {})


@settings(
    deadline=None, max_examples=120,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(changes=edits, packed=st.booleans())
def test_whatever_is_edited_into_a_sound_body(
    agent: APIClient, changes: list[tuple[int, int, bytes]], packed: bool
) -> None:
    body, headers = edited(changes, packed)
    check(agent, body, **headers)


@settings(
    deadline=None, max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(body=st.binary(max_size=200), packed=st.booleans())
def test_whatever_bytes_come(agent: APIClient, body: bytes, packed: bool) -> None:
    check(agent, body, **({"Content-Encoding": "gzip"} if packed else {}))
