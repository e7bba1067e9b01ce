"""Framed records in a file: each with its length and checksum, so that a torn end is seen for one.

A frame is 4 bytes of mark, the payload's length and CRC-32 (32 bits each, big-endian), and the
payload. What is damaged is skipped up to the next whole frame, and said.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = b"\xf5mA1"
_HEAD = struct.Struct(">4sII")
LARGEST_PAYLOAD = 64 * 2**20
WINDOW_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, and where the next one begins."""

    payload: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame, between two places of a file."""

    content: bytes
    start: int
    end: int


def framed(payload: bytes) -> bytes:
    """The payload as it goes to disk."""
    return _HEAD.pack(MARK, len(payload), zlib.crc32(payload)) + payload


def scan(content: bytes, base: int = 0) -> Iterator[Frame | Damage]:
    """The frames of a file's content that begins at the place `base`, and what lies between.

    A torn end comes as Damage that reaches to the end of the content.
    """
    place = 0
    while place < len(content):
        end = _end_of_frame(content, place)
        if end:
            yield Frame(content[place + _HEAD.size : end], base + place, base + end)
            place = end
            continue
        start = place
        while not end:
            place = content.find(MARK, place + 1)
            if place < 0:
                yield Damage(content[start:], base + start, base + len(content))
                return
            end = _end_of_frame(content, place)
        yield Damage(content[start:place], base + start, base + place)


def scan_file(path: Path, start: int, end: int) -> Iterator[Frame | Damage]:
    """The same of a part of a file, without holding more of it than a window or one frame."""
    with path.open("rb") as stream:
        window = WINDOW_BYTES
        while start < end:
            stream.seek(start)
            content = stream.read(min(window, end - start))
            before = start
            for one in scan(content, start):
                # What reaches out of the window is no damage yet.
                if isinstance(one, Damage) and one.end == start + len(content) < end:
                    break
                yield one
                before = one.end
            if not content:
                return
            window = WINDOW_BYTES if before > start else window * 4
            start = before


def _end_of_frame(content: bytes, place: int) -> int:
    """Where the frame at this place ends; 0 if there is no whole one."""
    if len(content) - place < _HEAD.size:
        return 0
    mark, length, checksum = _HEAD.unpack_from(content, place)
    start = place + _HEAD.size
    if mark != MARK or length > LARGEST_PAYLOAD or start + length > len(content):
        return 0
    payload = memoryview(content)[start : start + length]
    return start + length if zlib.crc32(payload) == checksum else 0


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable: a new file is not, until its directory is."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of it. Raises OSError, with a part perhaps written."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
