"""PostgreSQL's binary COPY, as far as usage rows need it: values behind their lengths.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

import struct
import sys
from array import array as Words
from collections.abc import Sequence
from itertools import chain

import msgspec

FILE_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
FILE_TRAILER = b"\xff\xff"
LENGTH = struct.Struct(">i").pack
ROW_HEAD = struct.Struct(">h").pack  # how many columns follow
NULL = LENGTH(-1)


def text(value: str | None) -> bytes:
    """A text, or NULL."""
    if value is None:
        return NULL
    packed = value.encode()
    return LENGTH(len(packed)) + packed


def jsonb(said: dict[str, object]) -> bytes:
    """A jsonb value: a version byte and its text, keys sorted so that content has one form."""
    packed = b"\x01" + msgspec.json.encode(said, order="sorted")
    return LENGTH(len(packed)) + packed


# Object identifiers of types, which never change: pg_type.dat.
BIGINT, SMALLINT, INTEGER, TEXT, INSTANT, NUMERIC, JSONB = 20, 21, 23, 25, 1184, 1700, 3802
_DIMENSION = struct.Struct(">iiiii").pack
_NO_ELEMENTS = struct.Struct(">iii").pack


def array(oid: int, packed_elements: Sequence[bytes]) -> bytes:
    """An array of elements that stand behind their lengths already, or are NULL."""
    return _array(oid, len(packed_elements), b"".join(packed_elements))


def texts(values: Sequence[str | None]) -> bytes:
    """An array of text."""
    if None in values:
        return array(TEXT, [text(value) for value in values])
    packed = [value.encode() for value in values if value is not None]
    lengths = map(LENGTH, map(len, packed))
    elements = b"".join(chain.from_iterable(zip(lengths, packed, strict=True)))
    return _array(TEXT, len(packed), elements)


def bigints(values: Sequence[int], oid: int = BIGINT) -> bytes:
    """An array of bigint, or of timestamptz in microseconds since 2000."""
    # Words of four bytes: the length of an element, then its two halves. All of it in C.
    words = Words("i", bytes(12 * len(values)))
    swapped = _swapped("q", values)
    halves = Words("i", swapped.tobytes())
    words[0::3] = Words("i", LENGTH(8)) * len(values)
    words[1::3] = halves[0::2]
    words[2::3] = halves[1::2]
    return _array(oid, len(values), words.tobytes())


def integers(values: Sequence[int]) -> bytes:
    """An array of integer."""
    words = Words("i", LENGTH(4) * (2 * len(values)))
    words[1::2] = _swapped("i", values)
    return _array(INTEGER, len(values), words.tobytes())


def smallints(values: Sequence[int]) -> bytes:
    """An array of smallint."""
    # Words of two bytes: the length of an element takes two of them.
    words = Words("h", bytes(6 * len(values)))
    swapped = _swapped("h", values)
    words[1::3] = Words("h", LENGTH(2)[2:]) * len(values)
    words[2::3] = swapped
    return _array(SMALLINT, len(values), words.tobytes())


def _swapped(code: str, values: Sequence[int]) -> "Words[int]":
    """Numbers in the order of bytes of the network."""
    swapped = Words(code, values)
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped


def _array(oid: int, count: int, elements: bytes) -> bytes:
    if not count:
        return LENGTH(12) + _NO_ELEMENTS(0, 0, oid)
    # One dimension, flags, type, length, first subscript.
    head = _DIMENSION(1, 0, oid, count, 1)
    return LENGTH(len(head) + len(elements)) + head + elements
