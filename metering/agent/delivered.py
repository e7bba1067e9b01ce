"""What has been delivered: how far the spool is done, and the totals for the hourly cross-check.

Both stand in one log of frames and change in one write, so that an event is counted once although
its delivery may be repeated after a crash. The log is rewritten when it has grown. It also says
under which name the totals are told, and since when they are whole.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metering.agent.forms.fields import instant
from metering.agent.frames import Damage, framed, scan, sync_directory, write_all
from metering.agent.segments import Place

REWRITE_BYTES = 4 * 2**20
HOURS_KEPT = 24 * 7
# customer, model or sku, mode, and the UTC hour as "2026-02-03T10"
TotalKey = tuple[str, str, str, str]
Totals = dict[TotalKey, dict[str, int]]


class Delivered:
    """The log of one state directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.place = Place()
        self.totals: Totals = {}
        self.name, self.since = "", 0.0  # See `be_known`; 0: not known.
        self._touched: dict[TotalKey, int] = {}  # In hours since 1970.
        self._lock = threading.Lock()  # The totals are read by other threads.
        content = path.read_bytes() if path.exists() else b""
        whole, damage = 0, 0
        for one in scan(content):
            if isinstance(one, Damage):
                damage = one.start + 1
                continue
            self._apply(json.loads(one.payload))
            whole = one.end
        # A torn end is delivered and counted again; totals from before a later frame are lost.
        self._is_partial = 0 < damage <= whole
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._descriptor, whole)
        os.lseek(self._descriptor, whole, os.SEEK_SET)
        os.fsync(self._descriptor)
        sync_directory(path.parent)
        self._size = whole

    def be_known(self, name: str, drawn: str, now: float) -> None:
        """Settle the name under which the totals are told: the given one, else that of before,
        else the drawn one. Totals that are new, or damaged, or were told by another name, are whole
        from now on only. Durable on return."""
        if self.since and not self._is_partial and name in ("", self.name):
            return
        self.name, self.since = name or self.name or drawn, now
        self._rewrite(int(now // 3600))

    def record(self, place: Place, totals: Totals, now: float) -> None:
        """The spool is done up to a place, and these came to be delivered. Durable on return."""
        entry = _entry(place, totals, int(now // 3600))
        self._apply(entry)
        frame = framed(json.dumps(entry).encode())
        if self._size + len(frame) > REWRITE_BYTES:
            self._rewrite(int(now // 3600))
            return
        write_all(self._descriptor, frame)
        os.fsync(self._descriptor)
        self._size += len(frame)

    def close(self) -> None:
        """Close the log."""
        os.close(self._descriptor)

    def rows(self) -> list[dict[str, Any]]:
        """All totals, in order."""
        return [
            {"customer": customer, "model": model, "mode": mode, "hour": f"{hour}:00:00Z", **sums}
            for (customer, model, mode, hour), sums in sorted(self.between("", "~").items())
        ]

    def between(self, first: str, last: str) -> Totals:
        """A copy of the totals of the hours from the first to the last, both included."""
        with self._lock:
            return {key: {**sums} for key, sums in self.totals.items() if first <= key[3] <= last}

    def _apply(self, entry: Mapping[str, Any]) -> None:
        self.place = Place(*entry["place"])
        if "known" in entry:
            self.name, self.since = entry["known"]
        with self._lock:
            for *key, sums in entry["totals"]:
                customer, model, mode, hour = key
                add(self.totals, (customer, model, mode, hour), sums)
                self._touched[customer, model, mode, hour] = entry["hour"]

    def _rewrite(self, hour: int) -> None:
        """A new log that holds the sums alone, without hours that nothing was added to lately."""
        with self._lock:
            for key in [one for one, at in self._touched.items() if at < hour - HOURS_KEPT]:
                del self.totals[key], self._touched[key]
        draft = self._path.with_suffix(".new")
        entry = _entry(self.place, self.totals, hour) | {"known": [self.name, self.since]}
        frame = framed(json.dumps(entry).encode())
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        write_all(descriptor, frame)
        os.fsync(descriptor)
        draft.rename(self._path)
        sync_directory(self._path.parent)
        os.close(self._descriptor)
        self._descriptor, self._size = descriptor, len(frame)


def add(totals: Totals, key: TotalKey, sums: Mapping[str, int]) -> None:
    """Add counts to one total."""
    known = totals.setdefault(key, {})
    for name, value in sums.items():
        known[name] = known.get(name, 0) + value


def totals_of(events: Iterable[Mapping[str, Any]]) -> Totals:
    """What delivered events come to; voids and what is no usage count nowhere. Input includes
    cached input, although `inference.usage` tells the two apart."""
    totals: Totals = {}
    for event in events:
        data = event.get("data", {})
        if event.get("type") == "inference.void" or not isinstance(data, dict):
            continue
        quantities = data.get("quantities") if "quantities" in data else data
        sums = {
            name: value
            for name, value in (quantities if isinstance(quantities, dict) else {}).items()
            if isinstance(value, int) and not isinstance(value, bool)
        }
        if "quantities" in data and sums.get("cached_input_tokens"):
            sums["input_tokens"] = sums.get("input_tokens", 0) + sums["cached_input_tokens"]
        model = str(data.get("model") or data.get("sku") or "")
        hour = _hour(str(event.get("time", "")))
        key = (str(event.get("subject")), model, str(data.get("mode", "")), hour)
        add(totals, key, {"events": 1, **sums})
    return totals


def _hour(time: str) -> str:
    """The UTC hour of an RFC 3339 time."""
    found = instant(time, "time")
    return found.strftime("%Y-%m-%dT%H") if found else ""


def _entry(place: Place, totals: Totals, hour: int) -> dict[str, Any]:
    listed = [[*key, sums] for key, sums in totals.items()]
    return {"place": [place.segment, place.offset], "totals": listed, "hour": hour}
