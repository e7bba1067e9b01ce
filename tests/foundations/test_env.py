"""A malformed value in the environment stops the program, and says which variable it was."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from billing.config import env

NAME = "LEDGER_TEST_VALUE"


@pytest.mark.parametrize(
    ("read", "raw", "expected"),
    [
        (lambda: env.text(NAME), " plain ", "plain"),
        (lambda: env.flag(NAME), "Yes", True),
        (lambda: env.flag(NAME, default=True), "off", False),
        (lambda: env.integer(NAME, 1), "42", 42),
        (lambda: env.integer(NAME, 1, least=-5), "-5", -5),
        (lambda: env.decimal(NAME, Decimal(0)), "0.10", Decimal("0.10")),
        (lambda: env.url(NAME), "https://a.example/b/", "https://a.example/b"),
        (lambda: env.words(NAME), "a, b,c", ["a", "b", "c"]),
        (lambda: env.choice(NAME, "x", among=("x", "y")), "y", "y"),
    ],
)
def test_a_sound_value_is_read(
    read: Callable[[], object], raw: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, raw)
    assert read() == expected


@pytest.mark.parametrize(
    ("read", "raw"),
    [
        (lambda: env.flag(NAME), "maybe"),
        (lambda: env.integer(NAME, 1), "1_000"),
        (lambda: env.integer(NAME, 1), "1.0"),
        (lambda: env.integer(NAME, 1), "٣"),
        (lambda: env.integer(NAME, 1), "-1"),
        (lambda: env.integer(NAME, 1, most=65535), "65536"),
        (lambda: env.decimal(NAME, Decimal(0)), "1,5"),
        (lambda: env.decimal(NAME, Decimal(0)), "NaN"),
        (lambda: env.url(NAME), "a.example"),
        (lambda: env.url(NAME), "ftp://a.example"),
        (lambda: env.url(NAME), "https://"),
        (lambda: env.url(NAME), "http://a.example:port"),
        (lambda: env.words(NAME), "a,,b"),
        (lambda: env.choice(NAME, "x", among=("x", "y")), "X"),
    ],
)
def test_a_malformed_value_is_refused(
    read: Callable[[], object], raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, raw)
    with pytest.raises(ImproperlyConfigured, match=NAME):
        read()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " ")
    assert env.integer(NAME, 7) == 7
    assert env.flag(NAME, default=True) is True
    assert env.words(NAME, ["a"]) == ["a"]


def test_a_refused_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "mysql://ledger:hunter2@db/ledger")
    with pytest.raises(ImproperlyConfigured) as refusal:
        env.url(NAME, schemes=("postgresql",))
    assert "hunter2" not in str(refusal.value)
