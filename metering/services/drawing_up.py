"""From new events to rated quantities, and to what could not be rated.

Quantities are summed up by customer, slot (a quarter of an hour, which lies in one period), model,
mode and meter first, so that a rate is looked up once a group and not once an event.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
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


def draw_up(
    *, rows: Sequence[Row], rates: Mapping[int, CustomerRates], now: datetime
) -> tuple[list[RatedQuantity], int]:
    """The rated quantities of new events, and how many events wait with at least one quantity.

    Writes the waiting quantities down; the rated ones are the caller's to add to the rollups.
    """
    found: dict[Rated, RatedQuantity] = {}
    waiting: dict[Group, tuple[int | None, str]] = {}
    periods: dict[tuple[int, int], tuple[RatedPeriod | None, datetime]] = {}
    for group, quantity in _sums(rows).items():
        customer_id, slot, model, mode, meter = group
        mine = rates[customer_id]
        place = periods.get((customer_id, slot))
        if place is None:
            instant = instant_of(slot * _SLOT_US)
            place = periods[customer_id, slot] = (mine.period_at(instant), hour_of(instant))
        period, hour = place
        if period is None:
            waiting[group] = (None, UnratedReason.NO_COMMIT.value)
            continue
        rate = mine.rate(period, hour, model, mode, meter)
        if rate is None:
            waiting[group] = (period.id, UnratedReason.NO_PRICE.value)
            continue
        row: Rated = (customer_id, period.id, hour, model, mode, meter)
        known = found.get(row)
        quantity += known.quantity if known else 0
        found[row] = RatedQuantity(*row, rate, quantity)
    return list(found.values()), _wait(rows, waiting, now) if waiting else 0


def _sums(rows: Sequence[Row]) -> dict[Group, int]:
    """Quantities by group, zeros left out. Nearly all events report tokens: those in a hurry."""
    tokens: dict[tuple[int, int, str, str], list[int]] = {}
    sums: dict[Group, int] = {}
    for customer_id, _, occurred_us, _, _, _, event in rows:
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


def _wait(
    rows: Sequence[Row], waiting: Mapping[Group, tuple[int | None, str]], now: datetime
) -> int:
    """Write down the quantities of the groups that wait: how many events they belong to."""
    written: list[tuple[object, ...]] = []
    events = set()
    for row in rows:
        slot = row.occurred_us // _SLOT_US
        for model, mode, meter, quantity in _quantities(row.event):
            why = waiting.get((row.customer_id, slot, model, mode, meter))
            if why is None:
                continue
            events.add(row.place)
            at = instant_of(row.occurred_us)
            key = UUID(bytes=row.key)
            written.append((row.customer_id, key, why[0], at, model, mode, meter, quantity, why[1]))
    with connection.cursor() as cursor:
        cursor.execute(_WAIT, [now, *(list(column) for column in zip(*written, strict=True))])
    return len(events)
