"""Idempotency-Key: the work is done once, also by two at once; the first answer comes again."""

import threading
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from billing.models import Customer, IdempotentRequest
from billing.services import customers
from tests.billing import cast
from tests.billing.conftest import Caller

BOLT = {"key": "bolt", "name": "Bolt", "email": "billing@bolt.example"}


def post(client: APIClient, key: str, body: dict[str, Any]) -> Any:
    return client.post("/api/v1/customers", body, format="json", HTTP_IDEMPOTENCY_KEY=key)


def test_the_same_body_gets_the_first_answer_again(finance: APIClient) -> None:
    first, again = post(finance, "k", BOLT), post(finance, "k", dict(reversed(BOLT.items())))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert again["Idempotent-Replayed"] == "true"
    assert Customer.objects.count() == 1


def test_another_body_is_refused_and_changes_nothing(finance: APIClient) -> None:
    post(finance, "k", BOLT)
    other = post(finance, "k", BOLT | {"key": "cinder"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert [customer.key for customer in Customer.objects.all()] == ["bolt"]


def test_the_key_belongs_to_its_bearer(finance: APIClient, caller: Caller) -> None:
    post(finance, "k", BOLT)
    bob = caller(cast.finance_key("bob"))
    assert post(bob, "k", BOLT | {"key": "cinder"}).status_code == 201


def test_an_error_is_not_kept(finance: APIClient) -> None:
    cast.make_customer("bolt")
    assert post(finance, "k", BOLT).status_code == 409
    assert not IdempotentRequest.objects.exists()
    assert post(finance, "k", BOLT | {"key": "cinder"}).status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ä"])
def test_a_wrong_key_is_refused(finance: APIClient, key: str) -> None:
    assert post(finance, key, BOLT).json()["code"] == "invalid_idempotency_key"
    assert not Customer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failure_after_the_work_takes_the_work_back(
    finance: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(IdempotentRequest.objects, "create", fail)
        assert post(finance, "k", BOLT).status_code == 500
    assert not Customer.objects.exists()
    assert post(finance, "k", BOLT).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_two_at_once_do_the_work_once(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    text = cast.finance_key()
    create, calls = customers.create_customer, []
    both = threading.Barrier(4)

    def counted(**given: Any) -> Customer:
        calls.append(given)
        return create(**given)

    monkeypatch.setattr(customers, "create_customer", counted)
    answers: list[Any] = []

    def ask() -> None:
        both.wait()
        answers.append(post(caller(text), "k", BOLT))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.content for answer in answers}) == 1
    assert len(calls) == 1
