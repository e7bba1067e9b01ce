"""Which events came a moment ago: a sender that repeats itself is answered, and not spooled again.

Only a saving, and for the totals of the cross-check: the service knows a duplicate for ever.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it is spooled: JSON in one line, and hashes of its identity, of the whole and of
    its data.

    `is_timed`: the time is the record's own. One that the agent has put in says when the record
    came, so it is no part of what is repeated.
    """

    text: bytes
    key: bytes
    whole: bytes
    data: bytes
    is_timed: bool = True

    @classmethod
    def of(cls, event: Mapping[str, Any], *, is_timed: bool = True) -> Event:
        """The event of an object."""
        # In ASCII, so that a lone surrogate in a text harms nothing.
        text = json.dumps(event, separators=(",", ":")).encode()
        names = json.dumps([event[name] for name in ("subject", "source", "id")]).encode()
        return cls(text, _hash(names), _hash(text), _hash(json.dumps(event["data"]).encode()),
                   is_timed)  # fmt: skip

    def repeats(self, before: Event | None) -> bool:
        """Whether it says the same as one of the same identity."""
        if before is None:
            return False
        return self.whole == before.whole if self.is_timed else self.data == before.data


class Lately:
    """The last events of the spool; for all threads."""

    def __init__(self) -> None:
        self._events: OrderedDict[bytes, Event] = OrderedDict()
        self._lock = threading.Lock()

    def new_of(self, events: Iterable[Event]) -> list[Event]:
        """Those that are no repetition, of a remembered event or of each other."""
        new, here = [], dict[bytes, Event]()
        with self._lock:
            for one in events:
                if not one.repeats(self._events.get(one.key)) and not one.repeats(
                    here.get(one.key)
                ):
                    here[one.key] = one
                    new.append(one)
        return new

    def remember(self, events: Sequence[Event]) -> None:
        """Events that are safe in the spool: a repetition is answered as if it were taken again."""
        with self._lock:
            for one in events:
                # Without the text: of the hashes a hundred thousand are not much.
                self._events[one.key] = Event(b"", one.key, one.whole, one.data)
            while len(self._events) > REMEMBERED:
                self._events.popitem(last=False)


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
