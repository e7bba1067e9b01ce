"""Voids: an event of the same customer is taken back, at its own time, period and rate.

A void belongs to its target's quarter. What of the target was rated leaves the rollups; what still
waited to be rated waits no longer; what was waived stays waived. By now all other events of the
batch are stored, so a void may stand before its target in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from django.db import connection

from billing.domain.errors import InvariantViolation
from metering.domain.columns import VOID, Columns
from metering.domain.rated import RatedQuantity
from metering.services import event_store
from metering.services.event_store import StoredEvent
from metering.services.rating import CustomerRates, hour_of

_UNRATED = """
WITH asked AS (
    SELECT * FROM unnest(%s::bigint[], %s::smallint[]) AS given (chunk_id, place)
), voided AS (
    UPDATE metering_unratedusage AS waiting SET resolved_at = %s, resolution = 'voided'
    FROM asked
    WHERE waiting.chunk_id = asked.chunk_id AND waiting.place = asked.place
        AND waiting.resolved_at IS NULL
)
SELECT known.chunk_id, known.place, known.meter
FROM metering_unratedusage AS known JOIN asked USING (chunk_id, place)
WHERE known.resolution <> 'rated'"""


@dataclass(slots=True)
class Voided:
    """What became of voids: (code, detail) of those refused, by position; of the others (chunk,
    place) of their targets, in their order, and what they take off the rollups."""

    refused: dict[int, tuple[str, str]] = field(default_factory=dict)
    targets: list[tuple[int, int]] = field(default_factory=list)
    taken_off: list[RatedQuantity] = field(default_factory=list)


def accept_voids(*, columns: Columns, rates: Mapping[int, CustomerRates], now: datetime) -> Voided:
    """Judge voids that have not come before, and say what they take off, as negative quantities.

    Refused: `not_found` for a target that never came, `conflict` for a second void of one event
    (the first in the request counts) and for the void of a void.
    """
    outcome = Voided()
    refs = [
        (customer_id, columns.targets[position])
        for position, customer_id in enumerate(columns.customers().tolist())
    ]
    stored = event_store.contents(refs=sorted(set(refs)))
    taken: dict[int, StoredEvent] = {}
    seen = set()
    for position in np.argsort(columns.place_in_request).tolist():
        target = stored.get(refs[position])
        if target is None:
            outcome.refused[position] = ("not_found", "the event that it names never came")
        elif target.kind == VOID:
            outcome.refused[position] = ("conflict", "a void cannot be voided")
        elif target.is_voided or refs[position] in seen:
            outcome.refused[position] = ("conflict", "the event has been voided already")
        else:
            taken[position] = target
            seen.add(refs[position])
    kept = sorted(taken)
    outcome.targets = [(taken[one].chunk_id, taken[one].place) for one in kept]
    outcome.taken_off = _taken_off(
        [(refs[position][0], taken[position]) for position in kept], rates, now
    )
    return outcome


def _taken_off(
    taken: Sequence[tuple[int, StoredEvent]], rates: Mapping[int, CustomerRates], now: datetime
) -> list[RatedQuantity]:
    if not taken:
        return []
    with connection.cursor() as cursor:
        places = [(target.chunk_id, target.place) for _, target in taken]
        cursor.execute(_UNRATED, [*(list(column) for column in zip(*places, strict=True)), now])
        never_rated = set(cursor.fetchall())
    found = []
    for customer_id, target in taken:
        mine = rates[customer_id]
        hour = hour_of(target.occurred_at)
        period = mine.period_at(target.occurred_at)
        for meter, quantity in target.quantities.items():
            if (target.chunk_id, target.place, meter) in never_rated:
                continue
            rate = mine.rate(period, hour, target.model, target.mode, meter) if period else None
            if period is None or rate is None:
                raise InvariantViolation(
                    "rated_without_terms",
                    f"event {target.chunk_id}/{target.place} was rated without a rate",
                )
            found.append(
                RatedQuantity(
                    customer_id, period.id, hour, target.model, target.mode, meter, rate, -quantity
                )
            )
    return found
