"""/healthz says whether this process and its database can serve."""

import pytest
from django.db import OperationalError, connection
from django.test import Client


@pytest.mark.django_db
def test_answers_while_the_database_does(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_is_unavailable_without_the_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cursor() -> None:
        raise OperationalError("connection to secret-host refused")

    monkeypatch.setattr(connection, "cursor", no_cursor)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert b"secret-host" not in response.content
