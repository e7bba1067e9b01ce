"""Rated usage: which quarter an event belongs to and what it costs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from .facts import Chain, EventKey, Facts, GroupKey
from .happenings import Use
from .prices import committed_rate
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
    """An event that is kept but has no amount, and why."""

    event: EventKey
    slot: SlotKey | None
    reason: str  # no_price | no_commit | waived


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
    return slots_of(chain.commits, chain.ended, facts.now + FUTURE)


def slot_at(facts: Facts, customer: str, instant: datetime) -> Slot | None:
    """The quarter of the commit in force for a customer at an instant."""
    for chain in facts.chains:
        if chain.commits[0].customer == customer:
            for slot in chain_slots(facts, chain):
                if slot.start <= instant < slot.end:
                    return slot
    return None


def discount_at(facts: Facts, slot: Slot, instant: datetime) -> Fraction:
    """The best of the commit's discount and those of true-ups in force at an instant."""
    better = [approved.request.discount for approved in facts.approved.values()
              if approved.request.commit == slot.commit.key
              and approved.request.discount is not None
              and approved.discount_from is not None and approved.discount_from <= instant]
    return max([slot.commit.discount, *better])


def rate_event(facts: Facts, key: EventKey, event: Use) -> list[Rated] | Unrated:
    """Rate every nonzero quantity of an event at the rate of its own time, or none of them."""
    slot = slot_at(facts, event.customer, event.occurred_at)
    if slot is None:
        return Unrated(key, None, "waived" if key in facts.waived else "no_commit")
    if key in facts.waived:
        return Unrated(key, slot.key, "waived")
    overrides = [*slot.commit.overrides, *facts.overrides.get(slot.commit.key, [])]
    discount = discount_at(facts, slot, event.occurred_at)
    rated = []
    for meter, quantity in event.quantities:
        if quantity == 0:
            continue
        group = (event.model, event.mode, meter)
        rate = committed_rate(
            facts.book, slot.commit, overrides, discount, group, event.occurred_at)
        if rate is None:
            return Unrated(key, slot.key, "no_price")
        rated.append(Rated(key, slot.key, event.occurred_at, (*group, rate), quantity))
    return rated


def rate_all(facts: Facts) -> Usage:
    """Rate all events that are not voided."""
    voided = set(facts.voids.values())
    rated: list[Rated] = []
    unrated: list[Unrated] = []
    for key, event in facts.events.items():
        if key not in voided:
            outcome = rate_event(facts, key, event)
            if isinstance(outcome, Unrated):
                unrated.append(outcome)
            else:
                rated.extend(outcome)
    return Usage(tuple(rated), tuple(unrated))
