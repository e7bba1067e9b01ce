"""What the agent tells of itself: counts, lag, its state as JSON, and Prometheus' text form."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GAUGES = {
    "undelivered_events": "Events in the spool that are not delivered yet.",
    "oldest_undelivered_seconds": "Age of the oldest event that is not delivered; 0 if none.",
    "spool_bytes": "Size of the spool on disk.",
    "unread_bytes": "Bytes of the followed files that have not been read yet.",
    "intake_paused": "1 while nothing is taken in because the spool is full.",
    "cross_check_differences": "Counts (customer, hour, model, mode, meter) the service denies.",
    "delivering": "1 while the service takes what it is sent.",
}
COUNTERS = {
    "taken": "Events taken into the spool, by input.",
    "repeated": "Events that lay in the spool already when they came again.",
    "passed_over": "Records understood that hold nothing to bill, by reason.",
    "dead_letters": "Records and events put to the dead letters, by reason.",
    "delivered": "Events that the service has, by how it called them.",
    "requests": "Requests to the service, by outcome.",
    "cross_checks": "Posts of totals to be held against the service's, by outcome.",
    "vanished_files": "Followed files that were gone before they were read to their end.",
}


@dataclass
class Counts:
    """Shared by all threads; every change and every look is under one lock."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _counters: Counter[tuple[str, str]] = field(default_factory=Counter)
    _gauges: dict[str, float] = field(default_factory=dict)
    _words: dict[str, Any] = field(default_factory=lambda: {"state": "starting", "problem": ""})

    def add(self, name: str, label: str = "", by: int = 1) -> None:
        """Count up."""
        with self._lock:
            self._counters[name, label] += by

    def set(self, **gauges: float) -> None:
        """Set what is measured."""
        with self._lock:
            self._gauges.update(gauges)

    def move(self, name: str, by: float) -> None:
        """Change what is measured."""
        with self._lock:
            self._gauges[name] = self._gauges.get(name, 0) + by

    def say(self, **words: Any) -> None:
        """Set `state` (delivering, idle, retrying, denied, stopping...) and the last `problem`."""
        with self._lock:
            self._words.update(words)

    def gauge(self, name: str) -> float:
        """What was measured last."""
        with self._lock:
            return self._gauges.get(name, 0)

    def of(self, name: str, label: str = "") -> int:
        """One count; of all labels together if none is given."""
        with self._lock:
            return sum(
                value
                for (one, its), value in self._counters.items()
                if one == name and label in ("", its)
            )

    def state(self) -> dict[str, Any]:
        """Everything, as the state file holds it."""
        with self._lock:
            counters: dict[str, dict[str, int]] = {}
            for (name, label), value in sorted(self._counters.items()):
                counters.setdefault(name, {})[label] = value
            return {**self._words, **self._gauges, "counts": counters}

    def prometheus(self) -> str:
        """Everything in Prometheus' text form."""
        lines: list[str] = []
        with self._lock:
            for name, meaning in GAUGES.items():
                lines += [f"# HELP metering_agent_{name} {meaning}",
                          f"# TYPE metering_agent_{name} gauge",
                          f"metering_agent_{name} {self._gauges.get(name, 0):.15g}"]  # fmt: skip
            for name, meaning in COUNTERS.items():
                full = f"metering_agent_{name}_total"
                lines += [f"# HELP {full} {meaning}", f"# TYPE {full} counter"]
                labels = sorted((its, v) for (one, its), v in self._counters.items() if one == name)
                lines += [f'{full}{{kind="{_escaped(its)}"}} {value}' for its, value in labels]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> None:
        """The state as a file; whoever reads it sees a whole one."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(self.state(), indent=1) + "\n")
        draft.rename(path)


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
