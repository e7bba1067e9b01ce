"""Voids: an event of the same customer is taken back, at its own time, period and rate.

A void belongs to its target's quarter. What of the target was rated leaves the rollups; what still
waited to be rated waits no longer; what was waived stays waived. By now all other events of the
batch are stored, so a void may stand before its target in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection

from billing.domain.errors import InvariantViolation
from metering.domain.events import VoidEvent
from metering.domain.rows import VOID, Row
from metering.services import event_store
from metering.services.event_store import EventRef, StoredEvent
from metering.services.rating import CustomerRates, hour_of
from metering.services.rollups import RatedQuantity

_UNRATED = """
WITH asked AS (
    SELECT * FROM unnest(%s::bigint[], %s::uuid[]) AS given (customer_id, event_key)
), voided AS (
    UPDATE metering_unratedusage AS waiting SET resolved_at = %s, resolution = 'voided'
    FROM asked
    WHERE waiting.customer_id = asked.customer_id AND waiting.event_key = asked.event_key
        AND waiting.resolved_at IS NULL
)
SELECT known.customer_id, known.event_key, known.meter
FROM metering_unratedusage AS known JOIN asked USING (customer_id, event_key)
WHERE known.resolution <> 'rated'"""


@dataclass(slots=True)
class Voided:
    """What became of voids: (row, code, detail) for each refused one."""

    new: list[Row] = field(default_factory=list)
    duplicates: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, str, str]] = field(default_factory=list)
    taken_off: list[RatedQuantity] = field(default_factory=list)


def accept_voids(
    *,
    rows: Sequence[Row],
    sequences: Mapping[int, int],
    rates: Mapping[int, CustomerRates],
    now: datetime,
) -> Voided:
    """Store voids and say what they take off the rollups, as negative quantities.

    Refused: `not_found` for a target that never came, `conflict` for a second void of one event,
    for the void of a void, and for a key that came before with other content.
    """
    refs = [(row.customer_id, row.key) for row in rows]
    candidates, duplicates, conflicts = event_store.split(rows, event_store.fingerprints(refs=refs))
    outcome = Voided(duplicates=duplicates)
    for row in conflicts:
        outcome.refused.append(
            (row, "conflict", "this source and id came before with other content")
        )
    targets = {(row.customer_id, row.key): (row.customer_id, _target(row)) for row in candidates}
    stored = event_store.contents(refs=sorted(set(targets.values())))
    taken: dict[EventRef, StoredEvent] = {}
    for row in sorted(candidates, key=lambda row: (row.arrival, row.place)):
        ref = targets[row.customer_id, row.key]
        target = stored.get(ref)
        if target is None:
            outcome.refused.append((row, "not_found", "the event that it names never came"))
        elif target.kind == VOID:
            outcome.refused.append((row, "conflict", "a void cannot be voided"))
        elif target.is_voided or ref in taken:
            outcome.refused.append((row, "conflict", "the event has been voided already"))
        else:
            taken[ref] = target
            outcome.new.append(row)
    outcome.new.sort()
    event_store.insert(rows=outcome.new, sequences=sequences)
    outcome.taken_off = _taken_off(taken, rates, now)
    return outcome


def _target(row: Row) -> bytes:
    """The target's key ends the row."""
    if not isinstance(row.event, VoidEvent):
        raise TypeError("only a void has a target")
    return row.packed[-16:]


def _taken_off(
    taken: Mapping[EventRef, StoredEvent], rates: Mapping[int, CustomerRates], now: datetime
) -> list[RatedQuantity]:
    if not taken:
        return []
    with connection.cursor() as cursor:
        keys = [UUID(bytes=key) for _, key in taken]
        cursor.execute(_UNRATED, [[customer for customer, _ in taken], keys, now])
        never_rated = {(customer, key.bytes, meter) for customer, key, meter in cursor.fetchall()}
    found = []
    for (customer_id, key), target in taken.items():
        mine = rates[customer_id]
        hour = hour_of(target.occurred_at)
        period = mine.period_at(target.occurred_at)
        for meter, quantity in target.quantities.items():
            if (customer_id, key, meter) in never_rated:
                continue
            rate = mine.rate(period, hour, target.model, target.mode, meter) if period else None
            if period is None or rate is None:
                raise InvariantViolation(
                    "rated_without_terms", f"event {UUID(bytes=key)} was rated without a rate"
                )
            found.append(
                RatedQuantity(
                    customer_id, period.id, hour, target.model, target.mode, meter, rate, -quantity
                )
            )
    return found
