"""Rated usage: which quarter an event belongs to and what it costs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from .facts import Chain, EventKey, Facts, GroupKey
from .happenings import Use
from .prices import book_of, committed_rate
from .quarters import Slot, SlotKey, slots_of

FUTURE = timedelta(minutes=5)


@dataclass(frozen=True)
class Rated:
    """One meter of one event, at its committed rate."""

    event: EventKey
    slot: SlotKey
    occurred_at: datetime
    group: GroupKey
    quantity: int

    @property
    def amount(self) -> Fraction:
        """quantity x rate, exact."""
        return self.quantity * self.group[3]


@dataclass(frozen=True)
class Unrated:
    """A quantity of an event that is kept but has no amount, and why."""

    event: EventKey
    slot: SlotKey | None
    reason: str  # no_price | no_commit | waived
    meter: str


@dataclass(frozen=True)
class Usage:
    """All usage, rated anew."""

    rated: tuple[Rated, ...]
    unrated: tuple[Unrated, ...]

    def of(self, slot: SlotKey) -> list[Rated]:
        """The rated usage of one quarter."""
        return [one for one in self.rated if one.slot == slot]

    def blocks(self, slot: SlotKey) -> bool:
        """True while unrated usage of the quarter is neither priced nor waived."""
        return any(one.slot == slot and one.reason != "waived" for one in self.unrated)

    def groups(self, slot: SlotKey) -> dict[GroupKey, tuple[Fraction, int]]:
        """(dollars, quantity) by (model, mode, meter, rate), of groups that cost something."""
        found: dict[GroupKey, tuple[Fraction, int]] = {}
        for one in self.of(slot):
            amount, quantity = found.get(one.group, (Fraction(0), 0))
            found[one.group] = (amount + one.amount, quantity + one.quantity)
        return found


def chain_slots(facts: Facts, chain: Chain) -> list[Slot]:
    """The quarters of a chain that exist now."""
    assert facts.now is not None
    return slots_of(chain.commits, chain.ended, facts.now + FUTURE, chain.cut_at)


def customer_slots(facts: Facts, customer: str) -> list[Slot]:
    """The quarters of all commits of a customer; they do not overlap."""
    return [
        slot
        for chain in facts.chains
        if chain.commits[0].customer == customer
        for slot in chain_slots(facts, chain)
    ]


def slot_at(slots: list[Slot], instant: datetime) -> Slot | None:
    """The quarter of the commit in force at an instant."""
    return next((slot for slot in slots if slot.start <= instant < slot.end), None)


def discount_at(facts: Facts, slot: Slot, instant: datetime) -> Fraction:
    """The best of the commit's discount and those of true-ups in force at an instant."""
    better = [
        approved.request.discount
        for approved in facts.approved.values()
        if approved.request.commit == slot.commit.key
        and approved.request.discount is not None
        and approved.discount_from is not None
        and approved.discount_from <= instant
    ]
    return max([slot.commit.discount, *better])


def rate_of(
    facts: Facts, slot: Slot, model: str, mode: str, meter: str, instant: datetime
) -> Fraction | None:
    """The committed rate of one meter in a quarter at an instant."""
    overrides = [*slot.commit.overrides, *facts.overrides.get(slot.commit.key, [])]
    discount = discount_at(facts, slot, instant)
    book = book_of(facts.book, facts.private.get(slot.commit.customer, []))
    return committed_rate(book, slot.commit, overrides, discount, (model, mode, meter), instant)


@dataclass
class Rater:
    """Rates events at the state of the facts; remembers rates within one run.

    All instants at which a rate may change are whole UTC hours, so one rate serves an hour.
    """

    facts: Facts

    def __post_init__(self) -> None:
        self.slots: dict[str, list[Slot]] = {}
        self.rates: dict[tuple[object, ...], Fraction | None] = {}

    def rate(self, slot: Slot, event: Use, meter: str) -> Fraction | None:
        """The rate of the event's hour."""
        hour = event.occurred_at.replace(minute=0, second=0, microsecond=0)
        key = (slot.key, event.model, event.mode, meter, hour)
        if key not in self.rates:
            self.rates[key] = rate_of(
                self.facts, slot, event.model, event.mode, meter, max(hour, slot.start)
            )
        return self.rates[key]

    def outcome(self, key: EventKey, event: Use) -> tuple[list[Rated], list[Unrated]]:
        """Rate every nonzero quantity at the rate of its own time; the others wait, each alone."""
        if event.customer not in self.slots:
            self.slots[event.customer] = customer_slots(self.facts, event.customer)
        slot = slot_at(self.slots[event.customer], event.occurred_at)
        rated, unrated = [], []
        for meter, quantity in event.quantities:
            if quantity == 0:
                continue
            rate = self.rate(slot, event, meter) if slot else None
            if (key, meter) in self.facts.waived:
                unrated.append(Unrated(key, slot.key if slot else None, "waived", meter))
            elif slot is None:
                unrated.append(Unrated(key, None, "no_commit", meter))
            elif rate is None:
                unrated.append(Unrated(key, slot.key, "no_price", meter))
            else:
                group = (event.model, event.mode, meter, rate)
                rated.append(Rated(key, slot.key, event.occurred_at, group, quantity))
        return rated, unrated


def rate_all(facts: Facts) -> Usage:
    """Rate all events that are not voided."""
    voided = set(facts.voids.values())
    rater = Rater(facts)
    rated: list[Rated] = []
    unrated: list[Unrated] = []
    for key, event in facts.events.items():
        if key not in voided:
            with_rate, without = rater.outcome(key, event)
            rated += with_rate
            unrated += without
    return Usage(tuple(rated), tuple(unrated))
