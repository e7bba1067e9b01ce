"""Real list prices of inference providers, from the `genai-prices` package that is installed.

Exact Decimals, quoted per million tokens as ours are. Only what our price book can express is
taken: input, cached input and output tokens at one price, perhaps from a date on. Everything else
is named with the reason why not. Nothing is fetched from anywhere.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from genai_prices import data_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, StartDateConstraint

from billing.domain.errors import NotFound
from metering.domain.meters import CACHED_INPUT_TOKENS, INPUT_TOKENS, OUTPUT_TOKENS, Mode
from metering.domain.rates import PriceKey
from metering.services.book_snapshot import read_price_book
from metering.services.price_book import NewPrice

_METERS = {
    "input_mtok": INPUT_TOKENS,
    "cache_read_mtok": CACHED_INPUT_TOKENS,
    "output_mtok": OUTPUT_TOKENS,
}


@dataclass(slots=True)
class Published:
    """What a provider publishes: prices for the book, and (model, reason) for what is not."""

    prices: list[NewPrice] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


class _NotExpressible(Exception):
    """Why a model's price does not fit into the price book."""


def published_prices(
    *, provider: str, models: Sequence[str] | None, effective_at: datetime, now: datetime
) -> Published:
    """A provider's list prices, as changes to the present price book.

    A price that the book does not have yet counts from `effective_at`, or from its own later date;
    one that differs from the price in force by now counts from the next whole hour, because what
    was in force until now stays. Raises NotFound `unknown_provider`, `unknown_model`.
    """
    providers = {one.id: one for one in data_snapshot.get_snapshot().providers}
    if provider not in providers:
        raise NotFound("unknown_provider", f"{provider!r} is not one of {', '.join(providers)}")
    known = {model.id: model for model in providers[provider].models}
    missing = sorted(set(models or ()) - known.keys())
    if missing:
        raise NotFound("unknown_model", f"{provider} has no prices of {', '.join(missing)}")
    found = Published()
    for model_id in sorted(models or known):
        try:
            dated = list(_dated_prices(known[model_id], effective_at))
        except _NotExpressible as reason:
            found.skipped.append((model_id, str(reason)))
        else:
            found.prices.extend(_changes(dated, now))
    return found


def _dated_prices(model: ModelInfo, effective_at: datetime) -> Iterator[NewPrice]:
    if model.price_variants:
        raise _NotExpressible("its price depends on how it is called")
    if isinstance(model.prices, ModelPrice):
        stages = [(effective_at, model.prices)]
    else:
        stages = sorted(
            ((_start_of(stage, effective_at), stage.prices) for stage in model.prices),
            key=lambda stage: stage[0],
        )
    for starts_at, prices in stages:
        for name, price in vars(prices).items():
            if price is None or name.startswith("_"):
                continue
            if name not in _METERS:
                raise _NotExpressible(f"it charges by {name}, which is not a meter here")
            if not isinstance(price, Decimal):
                raise _NotExpressible("its price depends on the length of the input")
            yield NewPrice(model.id, Mode.SERVERLESS.value, _METERS[name], price, starts_at)


def _start_of(stage: ConditionalPrice, effective_at: datetime) -> datetime:
    if stage.constraint is None:
        return effective_at
    if not isinstance(stage.constraint, StartDateConstraint):
        raise _NotExpressible("its price depends on the time of day")
    begins = datetime.combine(stage.constraint.start_date, time(), UTC)
    return max(begins, effective_at)


def _changes(dated: Sequence[NewPrice], now: datetime) -> Iterator[NewPrice]:
    """Of several prices that start at one instant the last one counts."""
    by_start = {(one.meter, one.effective_at): one for one in dated}
    hour = now.replace(minute=0, second=0, microsecond=0)
    next_hour = hour if hour == now else hour + timedelta(hours=1)
    book = read_price_book().book
    for one in by_start.values():
        key = PriceKey(one.model, one.mode, one.meter)
        if book.quoted(key, max(now, one.effective_at)) is None:
            yield one
        elif book.quoted(key, max(next_hour, one.effective_at)) != one.price:
            later = [other.effective_at for other in dated if other.meter == one.meter]
            superseded = any(one.effective_at < at <= now for at in later)
            if not superseded:
                yield NewPrice(*key, one.price, max(next_hour, one.effective_at))
