"""From new events to rated quantities, and to what could not be rated.

Quantities are summed up by customer, slot (a quarter of an hour, which lies in one period), model,
mode and meter first, so that a rate is looked up once a group and not once an event.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from metering.domain.events import Event, GpuEvent, QuantitiesEvent, TokensEvent
from metering.domain.meters import (
    CACHED_INPUT_TOKENS,
    GPU_SECONDS,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
)
from metering.domain.rows import Row, instant_of
from metering.models import UnratedReason
from metering.services.rating import SLOT, CustomerRates, RatedPeriod, hour_of
from metering.services.rollups import RatedQuantity

# The books hold 26 digits before the point. One event worth a trillion dollars is a mistake of its
# sender; a hundred trillion of the largest that are taken fit.
MOST_DOLLARS = Decimal(10) ** 12

_SLOT_US = int(SLOT.total_seconds()) * 1_000_000

# customer, slot since 2000, model, mode, meter
Group = tuple[int, int, str, str, str]
# customer, period, hour, model, mode, meter
Rated = tuple[int, int, datetime, str, str, str]

_WAIT = """
INSERT INTO metering_unratedusage
    (customer_id, event_key, period_id, occurred_at, model, mode, meter, quantity, reason,
     recorded_at, resolution)
SELECT customer_id, event_key, period_id, occurred_at, model, mode, meter, quantity, reason, %s, ''
FROM unnest(%s::bigint[], %s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[],
            %s::text[], %s::bigint[], %s::text[])
    AS given (customer_id, event_key, period_id, occurred_at, model, mode, meter, quantity,
        reason)"""


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
    found: dict[Rated, RatedQuantity] = {}
    periods: dict[tuple[int, int], tuple[RatedPeriod | None, datetime]] = {}
    for group, quantity in sums.items():
        customer_id, slot, model, mode, meter = group
        mine = rates[customer_id]
        place = periods.get((customer_id, slot))
        if place is None:
            instant = instant_of(slot * _SLOT_US)
            place = periods[customer_id, slot] = (mine.period_at(instant), hour_of(instant))
        period, hour = place
        if period is None:
            drawn.waiting[group] = (None, UnratedReason.NO_COMMIT.value)
            continue
        rate = mine.rate(period, hour, model, mode, meter)
        if rate is None:
            drawn.waiting[group] = (period.id, UnratedReason.NO_PRICE.value)
            continue
        if quantity * rate >= MOST_DOLLARS:
            drawn.too_dear.add(group)
        row: Rated = (customer_id, period.id, hour, model, mode, meter)
        known = found.get(row)
        quantity += known.quantity if known else 0
        found[row] = RatedQuantity(*row, rate, quantity)
    drawn.rated = list(found.values())
    return drawn


def too_dear(
    *, rows: Sequence[Row], groups: Set[Group], rates: Mapping[int, CustomerRates]
) -> list[Row]:
    """Of the events of some groups those that are worth MOST_DOLLARS or more by themselves."""
    found = []
    for row in rows:
        slot = row.occurred_us // _SLOT_US
        mine = rates[row.customer_id]
        instant = instant_of(slot * _SLOT_US)
        for model, mode, meter, quantity in _quantities(row.event):
            if (row.customer_id, slot, model, mode, meter) not in groups:
                continue
            period = mine.period_at(instant)
            rate = mine.rate(period, hour_of(instant), model, mode, meter) if period else None
            if rate is not None and quantity * rate >= MOST_DOLLARS:
                found.append(row)
                break
    return found


def sum_up(rows: Sequence[Row]) -> dict[Group, int]:
    """Quantities by group, zeros left out. Nearly all events report tokens: those in a hurry."""
    tokens: dict[tuple[int, int, str, str], list[int]] = {}
    sums: dict[Group, int] = {}
    for customer_id, _, _, _, occurred_us, _, _, event in rows:
        slot = occurred_us // _SLOT_US
        if isinstance(event, TokensEvent):
            data = event.data
            cached = data.cached_input_tokens
            mode: str = data.mode
            key = (customer_id, slot, data.model, mode)
            known = tokens.get(key)
            if known is None:
                tokens[key] = [data.input_tokens - cached, cached, data.output_tokens]
            else:
                known[0] += data.input_tokens - cached
                known[1] += cached
                known[2] += data.output_tokens
        else:
            for model, mode, meter, quantity in _quantities(event):
                group = (customer_id, slot, model, mode, meter)
                sums[group] = sums.get(group, 0) + quantity
    meters = (INPUT_TOKENS, CACHED_INPUT_TOKENS, OUTPUT_TOKENS)
    for key, counted in tokens.items():
        for meter, quantity in zip(meters, counted, strict=True):
            if quantity:
                group = (*key, meter)
                sums[group] = sums.get(group, 0) + quantity
    return sums


def _quantities(event: Event) -> Iterator[tuple[str, str, str, int]]:
    """(model, mode, meter, quantity) of one event, zeros left out."""
    if isinstance(event, TokensEvent):
        tokens = event.data
        quantities = {
            INPUT_TOKENS: tokens.input_tokens - tokens.cached_input_tokens,
            CACHED_INPUT_TOKENS: tokens.cached_input_tokens,
            OUTPUT_TOKENS: tokens.output_tokens,
        }
        model, mode = tokens.model, tokens.mode
    elif isinstance(event, GpuEvent):
        quantities = {GPU_SECONDS: event.data.gpu_seconds}
        model, mode = event.data.sku, event.data.mode
    elif isinstance(event, QuantitiesEvent):
        quantities = event.data.quantities
        model, mode = event.data.model, event.data.mode
    else:
        return
    for meter, quantity in quantities.items():
        if quantity:
            yield model, mode, meter, quantity


def write_waiting(
    *, rows: Sequence[Row], waiting: Mapping[Group, tuple[int | None, str]], now: datetime
) -> list[Row]:
    """Write down the quantities of the groups that wait: the events that they belong to."""
    if not waiting:
        return []
    written: list[tuple[object, ...]] = []
    events = []
    for row in rows:
        slot = row.occurred_us // _SLOT_US
        before = len(written)
        for model, mode, meter, quantity in _quantities(row.event):
            why = waiting.get((row.customer_id, slot, model, mode, meter))
            if why is None:
                continue
            at = instant_of(row.occurred_us)
            key = UUID(bytes=row.key)
            written.append((row.customer_id, key, why[0], at, model, mode, meter, quantity, why[1]))
        if len(written) > before:
            events.append(row)
    with connection.cursor() as cursor:
        cursor.execute(_WAIT, [now, *(list(column) for column in zip(*written, strict=True))])
    return events
