"""Rate lookup: which period usage belongs to, and what one unit costs in it.

Owns the process-local cache of customers' terms. It goes by (price book version, terms version),
which never come back, so a rolled-back transaction leaves nothing wrong behind. Rates are exact
dollars per single unit; periods are half-open.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from billing.domain.errors import NotFound
from metering.domain.columns import instant_of
from metering.domain.rates import (
    Dated,
    PriceBook,
    PriceKey,
    Rate,
    Series,
    Terms,
    committed_rate,
)
from metering.models import RateCard, RateDiscount, RateOverride, UsagePeriod
from metering.services.book_snapshot import read_price_book

CACHED_CUSTOMERS = 20_000
CACHED_RATES = 100_000  # of one customer
CACHED_SLOTS = 2_000  # of one customer: usage that is reported as it happens needs a few dozen
HOUR = timedelta(hours=1)
# Every time zone's offset is a multiple of this, so a slot lies within one period and one hour.
SLOT = timedelta(minutes=15)
SLOT_US = int(SLOT.total_seconds()) * 1_000_000


@dataclass(frozen=True, slots=True)
class RatedPeriod:
    """A usage period with the terms that rate it."""

    id: int
    starts_at: datetime
    ends_at: datetime
    card_id: int
    terms: Terms


class SlotRate(NamedTuple):
    """Where usage of a slot belongs, and what a unit costs there; None where nothing says so."""

    period_id: int | None
    hour: datetime
    rate: Decimal | None


@dataclass(slots=True)
class CustomerRates:
    """All periods of one customer, and every rate that was asked for so far."""

    book: PriceBook
    periods: tuple[RatedPeriod, ...]
    known: dict[tuple[int, datetime, str, str, str], Decimal | None] = field(default_factory=dict)
    slots: dict[tuple[int, str, str, str], SlotRate] = field(default_factory=dict)

    def period_at(self, instant: datetime) -> RatedPeriod | None:
        """The period that usage timed at `instant` belongs to."""
        place = bisect_right(self.periods, instant, key=lambda period: period.starts_at)
        if not place or instant >= self.periods[place - 1].ends_at:
            return None
        return self.periods[place - 1]

    def rate(
        self, period: RatedPeriod, hour: datetime, model: str, mode: str, meter: str
    ) -> Decimal | None:
        """Dollars per unit in the part of `hour` that lies in the period; None without a price."""
        asked = (period.id, hour, model, mode, meter)
        if asked in self.known:
            return self.known[asked]
        if len(self.known) >= CACHED_RATES:
            self.known.clear()
        found = self.explain(period, hour, PriceKey(model, mode, meter))
        self.known[asked] = found.rate if found else None
        return self.known[asked]

    def at_slot(self, slot: int, model: str, mode: str, meter: str) -> SlotRate:
        """What usage in the slot of that number since 2000 is rated by."""
        asked = (slot, model, mode, meter)
        found = self.slots.get(asked)
        if found is None:
            instant = instant_of(slot * SLOT_US)
            period, hour = self.period_at(instant), hour_of(instant)
            rate = self.rate(period, hour, model, mode, meter) if period else None
            if len(self.slots) >= CACHED_SLOTS:
                self.slots.clear()
            found = self.slots[asked] = SlotRate(period.id if period else None, hour, rate)
        return found

    def explain(self, period: RatedPeriod, hour: datetime, key: PriceKey) -> Rate | None:
        """The same rate with its derivation.

        A period may start inside an hour; its terms count from there, and nothing else changes
        within an hour.
        """
        return committed_rate(self.book, period.terms, key, max(hour, period.starts_at))


@dataclass(frozen=True, slots=True)
class KnownRates:
    """The rates of some customers, and the versions of price book and terms that they go by."""

    book_version: int
    terms_versions: Mapping[int, int]
    by_customer: Mapping[int, CustomerRates]


_cache: dict[int, tuple[int, int, CustomerRates]] = {}


def last_rates(customer_ids: Collection[int]) -> KnownRates | None:
    """The rates of customers as they were when they were last asked for: they may have changed
    since. None if one of them was not asked for lately, or at another price book."""
    cached = {customer_id: _cache.get(customer_id) for customer_id in customer_ids}
    found = {customer_id: one for customer_id, one in cached.items() if one is not None}
    books = {book_version for book_version, _, _ in found.values()}
    if len(found) < len(cached) or len(books) != 1:
        return None
    return KnownRates(
        books.pop(),
        {customer_id: version for customer_id, (_, version, _) in found.items()},
        {customer_id: rates for customer_id, (_, _, rates) in found.items()},
    )


def customer_rates(
    *, terms_versions: Mapping[int, int], book_version: int | None = None
) -> dict[int, CustomerRates]:
    """The rates of customers by id, given each one's terms version as read under its usage lock.

    `book_version` is that of the price book that is held, if the caller knows it.
    """
    snapshot = read_price_book(version=book_version)
    found: dict[int, CustomerRates] = {}
    missing: list[int] = []
    for customer_id, version in terms_versions.items():
        cached = _cache.get(customer_id)
        if cached and cached[0] == snapshot.version and cached[1] == version:
            found[customer_id] = cached[2]
        else:
            missing.append(customer_id)
    if missing:
        if len(_cache) + len(missing) > CACHED_CUSTOMERS:
            _cache.clear()
        for customer_id, periods in _load_periods(missing).items():
            rates = found[customer_id] = CustomerRates(snapshot.book_of(customer_id), periods)
            _cache[customer_id] = (snapshot.version, terms_versions[customer_id], rates)
    return found


def uncached_rates(*, customer_id: int) -> CustomerRates:
    """The rates of a customer as they stand in the database now."""
    book = read_price_book().book_of(customer_id)
    return CustomerRates(book, _load_periods([customer_id])[customer_id])


def explain_rate(
    *, customer_id: int, occurred_at: datetime, model: str, mode: str, meter: str
) -> Rate:
    """How the rate of one unit at a time came about: list price to committed rate.

    Raises NotFound `no_commit` or `no_price`.
    """
    rates = uncached_rates(customer_id=customer_id)
    period = rates.period_at(occurred_at)
    if period is None:
        raise NotFound("no_commit", "no commit was in force at that time")
    rate = rates.explain(period, hour_of(occurred_at), PriceKey(model, mode, meter))
    if rate is None:
        raise NotFound("no_price", f"{model} {mode} {meter} had no price at that time")
    return rate


def hour_of(instant: datetime) -> datetime:
    """The whole UTC hour that an instant lies in."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _load_periods(customer_ids: Iterable[int]) -> dict[int, tuple[RatedPeriod, ...]]:
    asked = list(customer_ids)
    found: dict[int, list[RatedPeriod]] = {customer_id: [] for customer_id in asked}
    rows = UsagePeriod.objects.filter(customer_id__in=asked).order_by("starts_at")
    periods = list(rows.values_list("customer_id", "id", "starts_at", "ends_at", "rate_card_id"))
    terms = load_terms(card_ids={row[4] for row in periods})
    for customer_id, period_id, starts_at, ends_at, card_id in periods:
        found[customer_id].append(
            RatedPeriod(period_id, starts_at, ends_at, card_id, terms[card_id])
        )
    return {customer_id: tuple(mine) for customer_id, mine in found.items()}


def load_terms(*, card_ids: Iterable[int]) -> dict[int, Terms]:
    """The terms of rate cards by id."""
    asked = list(card_ids)
    if not asked:
        return {}
    discounts: dict[int, list[Dated]] = {}
    for card_id, effective_at, discount in RateDiscount.objects.filter(
        card_id__in=asked
    ).values_list("card_id", "effective_at", "discount"):
        discounts.setdefault(card_id, []).append(Dated(effective_at, discount))
    overrides: dict[int, dict[PriceKey, list[Dated]]] = {}
    for card_id, model, mode, meter, effective_at, price in RateOverride.objects.filter(
        card_id__in=asked
    ).values_list("card_id", "model", "mode", "meter_id", "effective_at", "price"):
        of_card = overrides.setdefault(card_id, {})
        of_card.setdefault(PriceKey(model, mode, meter), []).append(Dated(effective_at, price))
    return {
        card_id: Terms(
            protected_from,
            Series.of(discounts.get(card_id, ())),
            {key: Series.of(rows) for key, rows in overrides.get(card_id, {}).items()},
        )
        for card_id, protected_from in RateCard.objects.filter(id__in=asked).values_list(
            "id", "protected_from"
        )
    }
