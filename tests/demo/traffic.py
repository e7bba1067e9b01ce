"""Turns a trace of an hour into the usage of four customers over several quarters.

Every request of the trace becomes exactly one event: its place in the order of arrival gives it a
time in the calendar, and a hash of its number, never a random draw, gives it a customer, a model,
a mode and a project. So a second run makes the same events with the same ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.demo import cast
from tests.demo.trace import TracedRequest

SOURCE = "gateway/us-east-1"
# About what the four customers spend between them: a provider's volume, not a laptop's.
TARGET_TOKENS = 264_500_000_000
LATE_EVERY = 97  # One event in so many is reported late.
GRACE_DELAY, POSTED_DELAY = timedelta(days=1), timedelta(days=40)
# Bolt's quarter: (share of its requests so far, share of the quarter gone). Two campaigns.
BOLT_CURVE = ((0.0, 0.0), (0.08, 0.30), (0.48, 0.37), (0.55, 0.70), (0.93, 0.76), (1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Usage:
    """One event, when it occurred and when the agent gets to report it."""

    reported_at: datetime
    occurred_at: datetime
    customer: str
    body: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.body["id"])


def choose_scale(trace: Sequence[TracedRequest]) -> int:
    """How many requests of its size one event stands for: a whole number, the same for all."""
    tokens = sum(one.input_tokens + one.output_tokens for one in trace)
    return max(1, round(TARGET_TOKENS / max(tokens, 1)))


def spread(trace: Sequence[TracedRequest], scale: int) -> list[Usage]:
    """The trace as events, in the order in which they are reported.

    The requests keep their order of arrival, at even distances: the trace's own lulls of minutes
    would become lulls of weeks.
    """
    in_order = sorted(trace, key=lambda one: (one.arrived_at, one.number))
    events = [_usage(one, place / len(trace), scale) for place, one in enumerate(in_order)]
    return sorted(events, key=lambda event: (event.reported_at, event.id))


def _usage(one: TracedRequest, share: float, scale: int) -> Usage:
    quarters = len(cast.BOUNDARIES) - 1
    quarter, within = int(share * quarters), share * quarters % 1
    customer = _pick(one.number, "customer", _customer_shares(share))
    if customer == cast.BOLT.key:
        within = _bent(within)
    starts_at, ends_at = cast.BOUNDARIES[quarter : quarter + 2]
    occurred_at = starts_at + (ends_at - starts_at) * within
    body = {
        "specversion": "1.0",
        "id": f"req-{one.number:06d}",
        "source": SOURCE,
        "subject": customer,
        "time": _rfc3339(occurred_at),
        "type": "inference.tokens",
        "data": {
            "model": _pick(one.number, "model", cast.MODELS),
            "mode": _pick(one.number, "mode", cast.MODES),
            "input_tokens": one.input_tokens * scale,
            "output_tokens": one.output_tokens * scale,
            "project": _pick(one.number, "project", cast.PROJECTS),
            "region": "us-east-1",
        },
    }
    reported_at = occurred_at + _delay(one.number, quarter, ends_at - occurred_at)
    return Usage(reported_at, occurred_at, customer, body)


def _customer_shares(share: float) -> tuple[tuple[str, float], ...]:
    """Acme's share is steady and Dune's grows; Bolt has the rest, and Cinder nothing."""
    acme, dune = 0.42, 0.12 + 0.22 * share
    return ((cast.ACME.key, acme), (cast.DUNE.key, dune), (cast.BOLT.key, 1 - acme - dune))


def _bent(within: float) -> float:
    """Bolt's requests, moved into its campaigns; still in [0, 1) and still in order."""
    for (share, gone), (next_share, next_gone) in pairwise(BOLT_CURVE):
        if within < next_share:
            return gone + (next_gone - gone) * (within - share) / (next_share - share)
    return within


def _delay(number: int, quarter: int, left: timedelta) -> timedelta:
    """How late the report is. Most come at once; some in the quarter's grace, some after its close.

    The last quarter has no late ones after its close: nobody would bill them any more here.
    """
    if number % LATE_EVERY != LATE_EVERY // 2:
        return timedelta(0)
    is_last = quarter == len(cast.BOUNDARIES) - 2
    return left + (GRACE_DELAY if is_last or number % 2 else POSTED_DELAY)


def _pick(number: int, what: str, shares: Sequence[tuple[str, float]]) -> str:
    """One of the words, each with its share of the numbers."""
    digest = hashlib.sha256(f"{what}/{number}".encode()).digest()
    point = int.from_bytes(digest[:8], "big") / 2**64
    for word, share in shares:
        if point < share:
            return word
        point -= share
    return shares[-1][0]


def _rfc3339(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
