"""Reads the environment: one small typed reader per kind of value, each of which refuses a
malformed value loudly.

An empty variable counts as one that is not set: Compose files and `make` hand on empty ones.
What the variables mean stands in settings.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def _raw(name: str) -> str | None:
    return os.environ.get(name, "").strip() or None


def _refuse(name: str, value: str, wanted: str, *, secret: bool = False) -> ImproperlyConfigured:
    shown = "(not shown)" if secret else repr(value)
    return ImproperlyConfigured(f"{name} must be {wanted}, but is {shown}")


def text(name: str, default: str = "") -> str:
    """The variable as it stands, without surrounding blanks."""
    return _raw(name) or default


def flag(name: str, *, default: bool = False) -> bool:
    """1/true/yes/on or 0/false/no/off, in any case."""
    raw = _raw(name)
    if raw is None:
        return default
    if raw.lower() in TRUE:
        return True
    if raw.lower() in FALSE:
        return False
    raise _refuse(name, raw, "one of 1, true, yes, on, 0, false, no, off")


def integer(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """A whole number from `least` to `most`, both included."""
    raw = _raw(name)
    if raw is None:
        return default
    # int() alone would take '1_000' and other scripts' digits.
    if not raw.isascii() or not raw.removeprefix("-").isdigit():
        raise _refuse(name, raw, "a whole number")
    value = int(raw)
    if value < least or (most is not None and value > most):
        raise _refuse(name, raw, f"from {least} to {most}" if most is not None else f">= {least}")
    return value


def decimal(name: str, default: Decimal) -> Decimal:
    """An exact decimal number; never a float."""
    raw = _raw(name)
    if raw is None:
        return default
    try:
        value = Decimal(raw)
    except InvalidOperation:
        raise _refuse(name, raw, "a decimal number") from None
    if not value.is_finite():
        raise _refuse(name, raw, "a finite decimal number")
    return value


def url(name: str, default: str = "", *, schemes: Sequence[str] = ("http", "https")) -> str:
    """An absolute address of one of these schemes, without a trailing slash.

    The value is not shown in the error: addresses carry passwords.
    """
    raw = _raw(name)
    if raw is None:
        return default
    wanted = f"an address that starts with one of {', '.join(s + '://' for s in schemes)}"
    try:
        parts = urlsplit(raw)
        port_is_sound = parts.port is None or parts.port > 0
    except ValueError:
        raise _refuse(name, raw, wanted, secret=True) from None
    if parts.scheme not in schemes or "://" not in raw or not port_is_sound:
        raise _refuse(name, raw, wanted, secret=True)
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise _refuse(name, raw, f"{wanted} and names a host", secret=True)
    return raw.rstrip("/") if parts.scheme in ("http", "https") else raw


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """A list separated by commas; an empty element is a mistake."""
    raw = _raw(name)
    if raw is None:
        return list(default)
    elements = [element.strip() for element in raw.split(",")]
    if not all(elements):
        raise _refuse(name, raw, "a list separated by commas, without empty elements", secret=True)
    return elements


def choice(name: str, default: str, *, among: Sequence[str]) -> str:
    """One of the given words, in exactly this spelling."""
    raw = _raw(name)
    if raw is None:
        return default
    if raw not in among:
        raise _refuse(name, raw, f"one of {', '.join(among)}")
    return raw
