"""From a request's body to events: unpacked, split and typed, whatever the body holds.

A malformed event does not fail its batch; a body that is no JSON, or too large, fails as a whole
and has changed nothing. Memory stays in proportion to the limits, not to what a body claims.
"""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from billing.domain.errors import InvalidInput
from billing.domain.text import has_control_characters
from metering.domain.events import Event, Refusal, model_of

MAX_EVENTS = 10_000
MAX_BYTES = 16 * 2**20


class MalformedBody(InvalidInput):
    """The body as a whole cannot be read: 400."""

    def __init__(self, detail: str) -> None:
        super().__init__("malformed_body", detail)


class TooLarge(InvalidInput):
    """More events or bytes than one request may carry: 413."""

    def __init__(self, detail: str) -> None:
        super().__init__("too_large", detail)


def unpack(body: bytes, encoding: str, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The body as its sender wrote it. `encoding` is the Content-Encoding, "" for none.

    At most `max_bytes` are ever unpacked, whatever the body claims. Raises TooLarge, and
    MalformedBody for a broken stream, an unknown encoding, or anything behind the stream.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        if len(body) > max_bytes:
            raise TooLarge(f"at most {max_bytes} bytes unpacked")
        return body
    if name not in ("gzip", "x-gzip"):
        raise MalformedBody(f"the content encoding {name[:40]!r} is not known here")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise MalformedBody("the body is not gzip") from error
    if len(unpacked) > max_bytes:
        raise TooLarge(f"at most {max_bytes} bytes unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedBody("the gzip stream is cut short, or something follows it")
    return unpacked


class _Identified(msgspec.Struct):
    id: str


_parts = msgspec.json.Decoder(list[msgspec.Raw])
_single = msgspec.json.Decoder(Event)
_identified = msgspec.json.Decoder(_Identified)
_blank = re.compile(r"[ \t\r\n]*")


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay text: this one only finds where an element of an array ends.
_elements = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_number)


def decode_events(
    body: bytes, *, one: bool, many: bool, max_events: int = MAX_EVENTS
) -> Iterator[Event | Refusal]:
    """The events of a body in order, each typed or refused with `invalid_event`.

    `one` and `many` say which forms are allowed: a single event, an array. Raises MalformedBody
    and TooLarge, at once or on the way: what came before is then of no use.
    """
    first = body.lstrip(b" \t\r\n")[:1]
    if not ((first == b"[" and many) or (first == b"{" and one)):
        raise MalformedBody("the body is not of the form that its content type announces")
    is_ascii = body.isascii()
    try:
        if not is_ascii:
            body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody("the body is not JSON in UTF-8") from error
    # JSON has no other way to write a NUL, which PostgreSQL cannot store.
    if b"\\u0000" in body or _has_too_many_parts(body, max_events):
        events = _with_care(body.decode(), first == b"[", max_events)
    else:
        events = _in_a_hurry(body, first == b"[", max_events)
    # Without any of these there is no control character: two quick looks spare one at each event.
    if b"\\" in body or b"\x7f" in body or not is_ascii:
        return _printable(events)
    return events


def _has_too_many_parts(body: bytes, max_events: int) -> bool:
    """Whether there may be so many elements that to note where each begins would take more memory
    than events do. No event that is as documented has fewer than seven commas."""
    return len(body) > 64 * max_events and body.count(b",") > 32 * max_events


def _in_a_hurry(body: bytes, is_array: bool, max_events: int) -> Iterator[Event | Refusal]:
    """For as long as every event is valid, and then with care."""
    read = 0
    try:
        parts = _parts.decode(body) if is_array else [msgspec.Raw(body)]
        if len(parts) > max_events:
            raise TooLarge(f"at most {max_events} events a request")
        decode = _single.decode
        for part in parts:
            event = decode(part)
            yield event
            read += 1
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        yield from islice(_with_care(body.decode(), is_array, max_events), read, None)


def _printable(events: Iterable[Event | Refusal]) -> Iterator[Event | Refusal]:
    """A model's name stands in prices, invoices and mails, so it has no control characters."""
    known: dict[str, bool] = {}
    for index, event in enumerate(events):
        if isinstance(event, Refusal):
            yield event
            continue
        name = model_of(event)
        wrong = known.get(name)
        if wrong is None:
            wrong = known[name] = has_control_characters(name)
        if wrong:
            words = f"the model or sku {name!r} has control characters"
            yield Refusal(index, event.id, "invalid_event", words)
        else:
            yield event


def _with_care(text: str, is_array: bool, max_events: int) -> Iterator[Event | Refusal]:
    for index, element in enumerate(_array(text) if is_array else _object(text)):
        if index >= max_events:
            raise TooLarge(f"at most {max_events} events a request")
        try:
            event = _single.decode(element)
            if "\\u0000" in element and _has_nul(msgspec.to_builtins(event)):
                raise msgspec.ValidationError("a NUL character cannot be stored")
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            yield Refusal(index, _id_of(element), "invalid_event", str(error)[:300])
        else:
            yield event


def _array(text: str) -> Iterator[str]:
    """The elements of a JSON array, as text. Raises MalformedBody."""
    place = _skip(text, _skip(text, 0) + 1)
    if text[place : place + 1] != "]":
        while True:
            end = _end_of_value(text, place)
            yield text[place:end]
            place = _skip(text, end)
            if text[place : place + 1] != ",":
                break
            place = _skip(text, place + 1)
    if text[place : place + 1] != "]" or _skip(text, place + 1) != len(text):
        raise MalformedBody("the body is not one JSON array")


def _object(text: str) -> Iterator[str]:
    """A single event's text. Raises MalformedBody unless it is one JSON value."""
    if _skip(text, _end_of_value(text, _skip(text, 0))) != len(text):
        raise MalformedBody("something follows the event")
    yield text


def _end_of_value(text: str, place: int) -> int:
    try:
        return _elements.raw_decode(text, place)[1]
    except (ValueError, RecursionError) as error:
        raise MalformedBody("the body is not JSON") from error


def _skip(text: str, place: int) -> int:
    found = _blank.match(text, place)
    return found.end() if found else place


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(part) for pair in value.items() for part in pair)
    return False


def _id_of(element: str) -> str | None:
    try:
        return _identified.decode(element).id[:200]
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
