"""What agents report: CloudEvents as typed structs, checked strictly, without a database.

Owns what a valid event is. Inside `data` every field is known or the event is refused; outside it
CloudEvents allows extension attributes, which are passed over.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from metering.domain.meters import MAX_QUANTITY

FUTURE = timedelta(minutes=5)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

Quantity = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Label = Annotated[str, Meta(max_length=100)]
MeterKey = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ModeName = Literal["serverless", "batch", "dedicated_serverless", "dedicated"]


class TokensData(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """As providers report it: input includes cached input, output includes reasoning."""

    model: Name
    mode: ModeName
    input_tokens: Quantity
    cached_input_tokens: Quantity = 0
    output_tokens: Quantity = 0
    reasoning_tokens: Quantity = 0
    endpoint: Label | None = None
    project: Label | None = None
    region: Label | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class GpuData(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """GPU-seconds of dedicated hardware, and how many of them were busy."""

    sku: Name
    mode: ModeName
    gpu_seconds: Quantity
    busy_gpu_seconds: Quantity = 0
    endpoint: Label | None = None
    project: Label | None = None
    region: Label | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class UsageData(Struct, forbid_unknown_fields=True, frozen=True):
    """Quantities of any defined meters."""

    model: Name
    mode: ModeName
    quantities: Annotated[dict[MeterKey, Quantity], Meta(min_length=1, max_length=50)]
    endpoint: Label | None = None
    project: Label | None = None
    region: Label | None = None
    is_async: bool | None = msgspec.field(name="async", default=None)


class VoidData(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """Which event of the same customer is taken back, and why."""

    source: Name
    id: Name
    reason: Annotated[str, Meta(max_length=500)] | None = None


class Envelope(Struct, frozen=True, gc=False):
    """The CloudEvents attributes that we use. `subject` is the customer's key."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    subject: Annotated[str, Meta(min_length=1, max_length=64)]
    time: Annotated[datetime, Meta(tz=True)]


class TokensEvent(Envelope, tag_field="type", tag="inference.tokens", frozen=True, gc=False):
    data: TokensData


class GpuEvent(Envelope, tag_field="type", tag="inference.gpu", frozen=True, gc=False):
    data: GpuData


class QuantitiesEvent(Envelope, tag_field="type", tag="inference.usage", frozen=True, gc=False):
    data: UsageData


class VoidEvent(Envelope, tag_field="type", tag="inference.void", frozen=True, gc=False):
    data: VoidData


Event = TokensEvent | GpuEvent | QuantitiesEvent | VoidEvent


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event of a batch that was not accepted. `index` counts from 0."""

    index: int
    id: str | None
    code: str
    detail: str


def model_of(event: Event) -> str:
    """The model or sku that an event is of; empty for a void."""
    if isinstance(event, GpuEvent):
        return event.data.sku
    return "" if isinstance(event, VoidEvent) else event.data.model


def problem_of(event: Event, now: datetime) -> tuple[str, str] | None:
    """What its types do not say: why an event is refused, as (code, detail), or None."""
    if event.time > now + FUTURE:
        return "too_far_in_future", "the time lies more than five minutes ahead"
    if event.time < EARLIEST:
        return "invalid_event", "the time lies before the year 2000"
    if isinstance(event, TokensEvent):
        if event.data.cached_input_tokens > event.data.input_tokens:
            return "invalid_event", "cached_input_tokens exceed the input_tokens that include them"
        if event.data.reasoning_tokens > event.data.output_tokens:
            return "invalid_event", "reasoning_tokens exceed the output_tokens that include them"
    elif isinstance(event, GpuEvent) and event.data.busy_gpu_seconds > event.data.gpu_seconds:
        return "invalid_event", "busy_gpu_seconds exceed gpu_seconds"
    return None
