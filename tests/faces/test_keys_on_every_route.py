"""Every address of the API, tried with keys that have no business there. A route that is added is
tried, too: the list is that of the resolver."""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from billing.models import ApiKeyKind, AuditEvent
from tests.api_clients import api_client
from tests.faces.world import NOW, Cast

NOBODY = UUID(int=0)
# What a customer's key may do that finance's may, about its own customer alone.
CUSTOMERS_OWN = {
    "GET /api/v1/customers/{}/usage", "GET /api/v1/customers/{}/rate",
    "GET /api/v1/customers/{}/balance", "GET /api/v1/customers/{}/invoices",
    "GET /api/v1/customers/{}/entries", "GET /api/v1/unrated", "GET /api/v1/customers/{}",
    "GET /api/v1/customers/{}/usage/events",
}  # fmt: skip
# Answers anybody: it is the signature that it believes, or there is nothing in it to hide.
OPEN = {"POST /api/v1/webhooks/stripe"}
client = partial(api_client, now=NOW, raise_request_exception=False)


def routes() -> list[str]:
    """The addresses under /api/v1/, their parameters as `<kind:name>`."""

    def walk(patterns: list[Any], prefix: str) -> list[str]:
        found = []
        for one in patterns:
            route = prefix + str(one.pattern)
            if isinstance(one, URLResolver):
                found += walk(one.url_patterns, route)
            elif isinstance(one, URLPattern) and route.startswith("api/v1/"):
                found.append(f"/{route}")
        return found

    return walk(get_resolver().url_patterns, "")


def filled(route: str, customer: str) -> str:
    values = {"uuid": str(NOBODY), "int": "1", "str": customer}
    return re.sub(r"<(\w+):\w+>", lambda match: values[match[1]], route)


def asked(key: APIClient, method: str, path: str) -> Any:
    return key.get(path) if method == "get" else getattr(key, method)(path, {}, format="json")


@pytest.mark.parametrize("whose", ["another", "its own"])
def test_a_customers_key_reads_its_own_and_does_nothing(cast: Cast, whose: str) -> None:
    key = client(ApiKeyKind.CUSTOMER, customers=[cast.dune])
    subject = "dune" if whose == "its own" else "acme"
    before = AuditEvent.objects.count()
    allowed = set()
    for route in routes():
        path = filled(route, subject)
        for method in ("get", "post", "put", "patch", "delete"):
            said = (
                getattr(key, method)(path, {}, format="json") if method != "get" else key.get(path)
            )
            name = f"{method.upper()} {re.sub(r'<[^>]+>', '{}', route)}"
            if said.status_code not in (401, 403, 404, 405) and name not in OPEN:
                allowed.add(name)
    assert allowed <= (CUSTOMERS_OWN if whose == "its own" else {"GET /api/v1/unrated"})
    assert AuditEvent.objects.count() == before


def test_an_agents_key_posts_usage_and_nothing_else(cast: Cast) -> None:
    key = client(ApiKeyKind.AGENT)
    for route in routes():
        path = filled(route, "acme")
        for method in ("get", "post"):
            said = (
                getattr(key, method)(path, {}, format="json") if method == "post" else key.get(path)
            )
            name = f"{method.upper()} {route}"
            if name not in OPEN and not route.startswith("/api/v1/usage"):
                assert said.status_code in (401, 403, 404, 405), name


def test_without_a_key_nothing_answers(db: None) -> None:
    nobody = APIClient()
    for route in routes():
        for method in ("get", "post"):
            said = getattr(nobody, method)(filled(route, "acme"))
            if f"{method.upper()} {route}" not in OPEN:
                assert said.status_code in (401, 404, 405), route
