"""The usage routes against their own OpenAPI document: no 500, and answers as documented."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from billing.config.wsgi import application
from billing.models import ApiKeyKind, Customer
from billing.services import api_keys, clock
from metering.services.proof import rederive_rollups
from tests.metering.conftest import NOW, open_terms
from tests.metering.sending import send, tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prices")]


@pytest.fixture
def document() -> Iterator[Any]:
    # As Django's own test client does: the test's connection is not the request's to close.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield schemathesis.openapi.from_wsgi("/api/schema/?format=json", application)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def keys(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A key by HTTP method; at the end everything must add up."""
    monkeypatch.setattr(clock, "now", lambda: NOW)
    monkeypatch.setattr("metering.api.throttling._buckets.take", lambda _: 0)
    open_terms(acme)
    send(tokens("a"), tokens("b", model="unheard-of"))
    user = api_keys.ensure_controller(name="ada")
    agent = api_keys.create_api_key(kind=ApiKeyKind.AGENT, now=NOW)
    finance = api_keys.create_api_key(kind=ApiKeyKind.FINANCE, now=NOW, user=user)
    yield {"POST": agent.text, "GET": finance.text}
    assert rederive_rollups() == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/usage"),
        ("GET", "/api/v1/customers/{key}/usage"),
        ("GET", "/api/v1/customers/{key}/usage/events"),
        ("GET", "/api/v1/customers/{key}/usage/events.{form}"),
    ],
)
def test_the_routes_answer_as_they_say(
    document: Any, keys: dict[str, str], method: str, path: str
) -> None:
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=document[path][method].as_strategy())
    def answers(case: Any) -> None:
        if "key" in case.path_parameters:
            case.path_parameters["key"] = "acme"
        answer = case.call(headers={"Authorization": f"Bearer {keys[method]}"})
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    answers()
