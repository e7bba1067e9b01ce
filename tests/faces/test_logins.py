"""A password can be tried only so often, per account and per address, on both login pages."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings

from billing.domain.errors import NotPermitted
from billing.models import LoginAttempt
from billing.services import logins
from billing.web.logins import address_of

NOW = datetime(2026, 5, 20, 9, tzinfo=UTC)
RIGHT = "correct-horse-battery"


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password=RIGHT, is_staff=True)


def tried(page: str, name: str, password: str, address: str = "10.0.0.1") -> str:
    given = {"username": name, "password": password}
    answer = Client().post(page, given, REMOTE_ADDR=address)
    return "in" if answer.status_code == 302 else answer.content.decode()


@pytest.mark.parametrize("page", ["/login/", "/admin/login/"])
def test_an_account_is_closed_after_ten_wrong_passwords(ada: User, page: str) -> None:
    for number in range(logins.ACCOUNT_ATTEMPTS):
        assert "Too many attempts" not in tried(page, "ada", "wrong", f"10.0.0.{number}")
    assert "Too many attempts" in tried(page, "ada", RIGHT, "10.9.9.9"), "the right one, too"
    other = "/login/" if page != "/login/" else "/admin/login/"
    assert "Too many attempts" in tried(other, "ada", RIGHT)
    LoginAttempt.objects.update(at=datetime.now(UTC) - logins.WINDOW)
    assert tried(page, "ada", RIGHT) == "in"


def test_a_right_password_makes_the_wrong_ones_forgotten(ada: User) -> None:
    for _ in range(3):
        for _ in range(logins.ACCOUNT_ATTEMPTS - 1):
            tried("/login/", "ada", "wrong")
        assert tried("/login/", "ada", RIGHT) == "in"
    assert not LoginAttempt.objects.exists()


def test_an_address_is_closed_whatever_accounts_it_tries(db: None) -> None:
    for number in range(logins.ADDRESS_ATTEMPTS):
        logins.begin(username=f"user-{number}", address="10.0.0.1", now=NOW)
    with pytest.raises(NotPermitted):
        logins.begin(username="somebody", address="10.0.0.1", now=NOW)
    logins.begin(username="somebody", address="10.0.0.2", now=NOW)
    logins.begin(username="somebody", address="10.0.0.1", now=NOW + logins.WINDOW)


def test_old_attempts_are_forgotten(db: None) -> None:
    logins.begin(username="a", address="10.0.0.1", now=NOW)
    logins.begin(username="b", address="10.0.0.1", now=NOW + timedelta(days=2))
    assert [one.username for one in LoginAttempt.objects.all()] == ["b"]


@pytest.mark.django_db(transaction=True)
def test_tries_at_the_same_moment_are_all_counted() -> None:
    let_in: list[int] = []
    start = threading.Barrier(8)

    def hammer() -> None:
        start.wait()
        for _ in range(4):
            try:
                logins.begin(username="ada", address="10.0.0.1", now=NOW)
                let_in.append(1)
            except NotPermitted:
                pass
        connection.close()

    hands = [threading.Thread(target=hammer) for _ in range(8)]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    assert len(let_in) == logins.ACCOUNT_ATTEMPTS


@pytest.mark.parametrize(
    ("proxies", "said", "address"),
    [
        (0, "6.6.6.6", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "6.6.6.6, 7.7.7.7", "7.7.7.7"),
        (2, "6.6.6.6, 7.7.7.7, 8.8.8.8", "7.7.7.7"),
        (2, "6.6.6.6", "10.0.0.1"),
    ],
)
def test_nobody_chooses_the_address_that_he_is_counted_by(
    settings: Settings, proxies: int, said: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": said} if said else {}
    request = RequestFactory().post("/login/", headers=headers, REMOTE_ADDR="10.0.0.1")
    assert address_of(request) == address
