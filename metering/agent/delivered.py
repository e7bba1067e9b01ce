"""What has been delivered: how far the spool is done, and the totals for the hourly cross-check.

Both stand in one log of frames and change in one write, so that an event is counted once although
its delivery may be repeated after a crash. The log is rewritten when it has grown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metering.agent.forms.fields import instant
from metering.agent.frames import Frame, framed, scan, sync_directory, write_all
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
        self._touched: dict[TotalKey, int] = {}  # In hours since 1970.
        content = path.read_bytes() if path.exists() else b""
        whole = 0
        for one in scan(content):
            if isinstance(one, Frame):
                self._apply(json.loads(one.payload))
                whole = one.end
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._descriptor, whole)
        os.lseek(self._descriptor, whole, os.SEEK_SET)
        os.fsync(self._descriptor)
        sync_directory(path.parent)
        self._size = whole

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
        """The totals as a cross-check lists them, in order."""
        return [
            {"customer": customer, "model": model, "mode": mode, "hour": f"{hour}:00:00Z", **sums}
            for (customer, model, mode, hour), sums in sorted(self.totals.items())
        ]

    def _apply(self, entry: Mapping[str, Any]) -> None:
        self.place = Place(*entry["place"])
        for *key, sums in entry["totals"]:
            customer, model, mode, hour = key
            add(self.totals, (customer, model, mode, hour), sums)
            self._touched[customer, model, mode, hour] = entry["hour"]

    def _rewrite(self, hour: int) -> None:
        """A new log that holds the sums alone, without hours that nothing was added to lately."""
        for key in [one for one, at in self._touched.items() if at < hour - HOURS_KEPT]:
            del self.totals[key], self._touched[key]
        draft = self._path.with_suffix(".new")
        frame = framed(json.dumps(_entry(self.place, self.totals, hour)).encode())
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
    """What delivered events come to; voids and what is no usage count nowhere."""
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
