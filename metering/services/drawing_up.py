"""From new events to rated quantities, and to what could not be rated.

Quantities are summed up by customer, slot (a quarter of an hour, which lies in one period), model,
mode and meter first, so that a rate is looked up once a group and not once an event.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import numpy as np
from django.db import connection

from metering.domain.columns import (
    CACHED_INPUT,
    GPU_TIME,
    INPUT,
    OCCURRED,
    OUTPUT,
    Columns,
    instant_of,
)
from metering.domain.meters import (
    CACHED_INPUT_TOKENS,
    GPU_SECONDS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)
from metering.domain.rated import RatedQuantity
from metering.models import UnratedReason
from metering.services.rating import SLOT_US, CustomerRates

# The books hold 26 digits before the point. One event worth a trillion dollars is a mistake of its
# sender; a hundred trillion of the largest that are taken fit.
MOST_DOLLARS = Decimal(10) ** 12

# customer, slot since 2000, model, mode, meter
Group = tuple[int, int, str, str, str]

_WAIT = """
INSERT INTO metering_unratedusage
    (customer_id, chunk_id, place, source, event_name, period_id, occurred_at, model, mode, meter,
     quantity, reason, recorded_at, resolution)
SELECT customer_id, %s, place, source, event_name, period_id, occurred_at, model, mode, meter,
    quantity, reason, %s, ''
FROM unnest(%s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::bigint[],
            %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::text[])
    AS given (customer_id, place, source, event_name, period_id, occurred_at, model, mode, meter,
        quantity, reason)"""

# The meters that are built in, and where their quantities stand among an event's figures.
_METERS = (INPUT_TOKENS, CACHED_INPUT_TOKENS, OUTPUT_TOKENS, GPU_SECONDS)
_FIGURES = [INPUT, CACHED_INPUT, OUTPUT, GPU_TIME]
_SLOT_BITS = 2**32 - 1
_MOST_SUM = 2**63 - 1


@dataclass(slots=True)
class Drawn:
    """Events drawn up: what is rated, and which groups wait, with their period and reason."""

    rated: list[RatedQuantity] = field(default_factory=list)
    waiting: dict[Group, tuple[int | None, str]] = field(default_factory=dict)
    too_dear: set[Group] = field(default_factory=set)


def draw_up(*, sums: Mapping[Group, int], rates: Mapping[int, CustomerRates]) -> Drawn:
    """What quantities by group come to: rated, or waiting. Writes nothing.

    A group worth MOST_DOLLARS or more is named as well: some event of it may be beyond what the
    books can hold.
    """
    drawn = Drawn()
    for group, quantity in sums.items():
        customer_id, slot, model, mode, meter = group
        period_id, hour, rate = rates[customer_id].at_slot(slot, model, mode, meter)
        if period_id is None:
            drawn.waiting[group] = (None, UnratedReason.NO_COMMIT.value)
        elif rate is None:
            drawn.waiting[group] = (period_id, UnratedReason.NO_PRICE.value)
        else:
            if quantity * rate >= MOST_DOLLARS:
                drawn.too_dear.add(group)
            drawn.rated.append(
                RatedQuantity(customer_id, period_id, hour, model, mode, meter, rate, quantity)
            )
    return drawn


def too_dear(
    *, columns: Columns, groups: Set[Group], rates: Mapping[int, CustomerRates]
) -> list[int]:
    """Of the events of some groups the positions of those worth MOST_DOLLARS or more alone."""
    found: list[int] = []
    for position, group, quantity in _quantities(columns) if groups else ():
        if group in groups:
            rate = rates[group[0]].at_slot(*group[1:]).rate
            if rate is not None and quantity * rate >= MOST_DOLLARS:
                found.append(position)
    return found


def sum_up(columns: Columns) -> dict[Group, int]:
    """Quantities by group, zeros left out."""
    lines: dict[tuple[int, str, str], int] = {}
    of_origins = [
        lines.setdefault((one.customer_id, one.model, one.mode), len(lines))
        for one in columns.origins
    ]
    # One number for a line and a slot: there are fewer than 2^32 slots before the year 120,000.
    slots = columns.figures[:, OCCURRED] // SLOT_US
    cells = (np.array(of_origins, dtype=np.int64)[columns.origin] << 32) + slots
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    figures = columns.figures[order][:, _FIGURES]
    if int(figures.max(initial=0)) * len(columns) > _MOST_SUM:
        figures = figures.astype(object)  # Python's numbers: exact, however large.
    names = list(lines)
    sums: dict[Group, int] = {}
    for cell, counted in zip(
        cells[starts].tolist(), np.add.reduceat(figures, starts, axis=0).tolist(), strict=True
    ):
        customer_id, model, mode = names[cell >> 32]
        for meter, quantity in zip(_METERS, counted, strict=True):
            if quantity:
                sums[customer_id, cell & _SLOT_BITS, model, mode, meter] = quantity
    for _, group, quantity in _of_further_meters(columns):
        sums[group] = sums.get(group, 0) + quantity
    return sums


def _quantities(columns: Columns) -> Iterator[tuple[int, Group, int]]:
    """(position, group, quantity) of every event, zeros left out."""
    for position, counted in enumerate(columns.figures[:, _FIGURES].tolist()):
        for meter, quantity in zip(_METERS, counted, strict=True):
            if quantity:
                yield position, _group(columns, position, meter), quantity
    yield from _of_further_meters(columns)


def _of_further_meters(columns: Columns) -> Iterator[tuple[int, Group, int]]:
    for position, said in columns.extras.items():
        for meter, quantity in said.get("quantities", {}).items():
            if quantity:
                yield position, _group(columns, position, meter), quantity


def _group(columns: Columns, position: int, meter: str) -> Group:
    origin = columns.origins[columns.origin[position]]
    slot = int(columns.figures[position, OCCURRED]) // SLOT_US
    return origin.customer_id, slot, origin.model, origin.mode, meter


def write_waiting(
    *,
    columns: Columns,
    chunk_id: int,
    waiting: Mapping[Group, tuple[int | None, str]],
    now: datetime,
) -> set[int]:
    """Write down the quantities of the groups that wait: the positions of their events."""
    if not waiting:
        return set()
    written: list[tuple[object, ...]] = []
    events: set[int] = set()
    for position, group, quantity in _quantities(columns):
        why = waiting.get(group)
        if why is None:
            continue
        customer_id, _, model, mode, meter = group
        source = columns.origins[columns.origin[position]].source
        at = instant_of(int(columns.figures[position, OCCURRED]))
        written.append(
            (
                customer_id, position + 1, source, columns.ids[position], why[0], at, model, mode,
                meter, quantity, why[1],
            )
        )  # fmt: skip
        events.add(position)
    if written:
        with connection.cursor() as cursor:
            cursor.execute(
                _WAIT, [chunk_id, now, *(list(column) for column in zip(*written, strict=True))]
            )
    return events
