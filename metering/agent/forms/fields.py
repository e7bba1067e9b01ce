"""What all forms share: what a reading is, and how tokens, times and names are taken from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

LARGEST_QUANTITY = 2**53 - 1  # What every JSON reader can hold exactly.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECONDS = 253_402_300_799.0  # The end of the year 9999.


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one request. Input includes cached input, output includes reasoning.

    `id` is the record's own, "" if it has none; `time` is None if it has none. `fields` is where
    the rules of the configuration look for the customer, the mode and so on.
    """

    id: str
    time: datetime | None
    model: str
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Own:
    """An event in the service's own form, to be reported as it is."""

    event: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A record that is understood and holds nothing to bill; `reason` is a word to count it by."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record, or a part of one, that goes to the dead letters."""

    code: str
    detail: str


Reading = Usage | Own | PassedOver | Unusable


class BadField(Exception):
    """A field that cannot be what its form says; the message names it."""

    def __init__(self, detail: str, code: str = "bad_field") -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tokens:
    """Four counts, checked: each part lies inside its whole."""

    input_tokens: int
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = field(default=0)

    def __post_init__(self) -> None:
        if self.cached_input_tokens > self.input_tokens:
            raise BadField("more cached input than input", "inconsistent")
        if self.reasoning_tokens > self.output_tokens:
            raise BadField("more reasoning than output", "inconsistent")


def count(value: Any, name: str) -> int:
    """A quantity: an integer from 0 on; None counts as 0. A float is refused, whole or not."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadField(f"{name} is no whole number", "bad_quantity")
    if not 0 <= value <= LARGEST_QUANTITY:
        raise BadField(f"{name} lies outside of 0 to 2^53 - 1", "bad_quantity")
    return value


def text(value: Any) -> str:
    """A string, or "" for anything else."""
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def instant(value: Any, name: str) -> datetime | None:
    """A time: RFC 3339, or seconds since 1970 as number or digits. None where there is none."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        try:
            found = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise BadField(f"{name} is no time", "bad_time") from error
        # What names no zone is taken for UTC, which is what loggers mean by it.
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadField(f"{name} is no time", "bad_time")
    seconds = float(value)
    if not 0 <= seconds <= _LATEST_SECONDS:
        raise BadField(f"{name} is no time in seconds since 1970", "bad_time")
    return _EPOCH + timedelta(seconds=seconds)


def nanoseconds(value: Any, name: str) -> datetime | None:
    """A time in nanoseconds since 1970, as OTLP writes it: digits, or a number; 0 is none."""
    try:
        return _EPOCH + timedelta(microseconds=int(value or 0) // 1000) if int(value or 0) else None
    except (ValueError, TypeError, OverflowError) as error:
        raise BadField(f"{name} is no time", "bad_time") from error


def look_up(fields: Mapping[str, Any], path: str) -> Any:
    """The value at a path of names joined by dots. A name may hold dots itself, as OTel's do."""
    if path in fields:
        return fields[path]
    place = path.find(".")
    while place >= 0:
        inner = fields.get(path[:place])
        if isinstance(inner, dict):
            found = look_up(inner, path[place + 1 :])
            if found is not None:
                return found
        place = path.find(".", place + 1)
    return None
