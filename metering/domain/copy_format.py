"""PostgreSQL's binary COPY, as far as usage rows need it: values behind their lengths.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

import struct
from collections.abc import Sequence
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import ArrayLike

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


def bigints(values: ArrayLike, oid: int = BIGINT) -> bytes:
    """An array of bigint, or of timestamptz in microseconds since 2000."""
    return _numbers(values, oid, 8)


def integers(values: ArrayLike) -> bytes:
    """An array of integer."""
    return _numbers(values, INTEGER, 4)


def smallints(values: ArrayLike) -> bytes:
    """An array of smallint."""
    return _numbers(values, SMALLINT, 2)


# An element: its length, and the number in the order of bytes of the network.
_ELEMENTS = {size: np.dtype([("length", ">i4"), ("number", f">i{size}")]) for size in (2, 4, 8)}


def _numbers(values: ArrayLike, oid: int, size: int) -> bytes:
    numbers = np.asarray(values, dtype=np.int64)
    elements = np.empty(len(numbers), dtype=_ELEMENTS[size])
    elements["length"] = size
    elements["number"] = numbers
    return _array(oid, len(elements), elements.tobytes())


def _array(oid: int, count: int, elements: bytes) -> bytes:
    if not count:
        return LENGTH(12) + _NO_ELEMENTS(0, 0, oid)
    # One dimension, flags, type, length, first subscript.
    head = _DIMENSION(1, 0, oid, count, 1)
    return LENGTH(len(head) + len(elements)) + head + elements
