"""Too much at once is sent away, to come again, before it costs memory; nothing of it is kept."""

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, connections, transaction
from rest_framework.test import APIClient

from billing.models import ApiKeyKind
from metering.api import views
from metering.api.admission import Admission, Overloaded
from metering.domain.bodies import MAX_BYTES
from metering.models import UsageEvent
from metering.services import ingest, storing
from metering.services.usage_lock import lock_usage
from tests.api_clients import api_client
from tests.metering.conftest import NOW, list_prices, make_customer
from tests.metering.sending import send, tokens

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/usage"


@pytest.fixture
def agent() -> APIClient:
    list_prices()
    make_customer("acme")
    return api_client(ApiKeyKind.AGENT, now=NOW)


def body(event_id: str) -> bytes:
    return json.dumps([tokens(event_id)]).encode()


def test_a_body_beyond_the_room_there_is_answers_503_and_is_not_read(
    agent: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, may_go_on = threading.Event(), threading.Event()

    def slow(**given: Any) -> Any:
        entered.set()
        assert may_go_on.wait(30)
        return ingest.ingest(**given)

    monkeypatch.setattr(views, "admission", Admission(len(body("a")) + 10))
    monkeypatch.setattr(views, "ingest", slow)

    def post(event_id: str) -> Any:
        try:
            return agent.post(URL, data=body(event_id), content_type="application/json")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(post, "a")
        assert entered.wait(30)
        answer = post("b")
        may_go_on.set()
        assert first.result().status_code == 200
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
    assert int(answer["Retry-After"]) >= 1
    assert UsageEvent.objects.count() == 1
    assert post("b").status_code == 200


def test_a_packed_body_counts_as_what_it_may_come_to() -> None:
    room = Admission(MAX_BYTES + 1_000)
    with room.admit(length=len(gzip.compress(body("a"))), is_packed=True):
        with room.admit(length=1_000, is_packed=False):
            pass
        with pytest.raises(Overloaded), room.admit(length=100, is_packed=True):
            pass
    with room.admit(length=2 * MAX_BYTES, is_packed=False):
        pass  # Alone it may always come, and be told that it is too large.


def test_who_waits_too_long_for_a_lock_is_told_to_come_again(
    agent: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "LOCK_SECONDS", 1)
    send(tokens("a"))
    customer_id = UsageEvent.objects.get().customer_id
    held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                lock_usage(customer_ids=[customer_id])
                held.set()
                assert may_go_on.wait(30)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(hold)
        assert held.wait(30)
        answer = agent.post(URL, data=body("b"), content_type="application/json")
        may_go_on.set()
        holder.result()
    assert (answer.status_code, answer.json()["code"]) == (503, "database_busy")
    assert int(answer["Retry-After"]) >= 1
    assert UsageEvent.objects.count() == 1
    again = agent.post(URL, data=body("b"), content_type="application/json")
    assert again.json()["accepted"] == 1
