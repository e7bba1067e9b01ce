"""PostgreSQL's binary COPY, as far as usage rows need it: values behind their lengths.

https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

import struct

import msgspec

FILE_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
FILE_TRAILER = b"\xff\xff"
LENGTH = struct.Struct(">i").pack
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
