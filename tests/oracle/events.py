"""Ingest of usage, voids, waivers and prices: what is accepted and what is refused."""

from copy import copy
from datetime import datetime
from fractions import Fraction

from .facts import EventKey, Facts
from .happenings import AddOverride, AddPrice, AddPrivatePrice, Correct, Use, Void, Waive
from .rating import FUTURE, chain_slots, rate_all


def event_key(event: Use | Void | Waive) -> EventKey:
    """(customer, source, id), unique for ever over usage and voids."""
    return (event.customer, event.source, event.id)


def ingest(facts: Facts, batch: tuple[Use | Void, ...]) -> str:
    """Accept a batch: usage first, so that a void may stand before its target."""
    answers = {id(event): _use(facts, event) for event in batch if isinstance(event, Use)}
    answers |= {id(event): _void(facts, event) for event in batch if isinstance(event, Void)}
    return " ".join(answers[id(event)] for event in batch)


def _content(event: Use) -> tuple[object, ...]:
    return (event.occurred_at, event.model, event.mode, event.quantities)


def _use(facts: Facts, event: Use) -> str:
    key = event_key(event)
    if key in facts.events:
        same = _content(facts.events[key]) == _content(event)
        return "duplicate" if same else "conflict"
    if key in facts.voids:
        return "conflict"
    assert facts.now is not None
    if event.occurred_at > facts.now + FUTURE:
        return "too_far_in_future"
    facts.events[key] = event
    return "ok"


def _void(facts: Facts, event: Void) -> str:
    """A void names an event once; it cannot be voided itself."""
    key = event_key(event)
    target = (event.customer, event.target_source, event.target_id)
    if key in facts.voids:
        return "duplicate" if facts.voids[key] == target else "conflict"
    if key in facts.events or target in facts.voids.values() or target in facts.voids:
        return "conflict"
    if target not in facts.events:
        return "not_found"
    facts.voids[key] = target
    return "ok"


def correct(facts: Facts, happening: Correct) -> str:
    """Void an event and take its replacement in: both are news, or nothing happens."""
    target = f"{happening.target_source} {happening.target_id}"
    void = Void(
        at=happening.at,
        customer=happening.customer,
        id=f"void of {target}",
        source="finance",
        target_id=happening.target_id,
        target_source=happening.target_source,
    )
    trial = copy(facts)
    trial.events, trial.voids = dict(facts.events), dict(facts.voids)
    batch = (void,) if happening.instead is None else (void, happening.instead)
    answers = {*ingest(trial, batch).split()}
    if answers != {"ok"}:
        return "refused"
    facts.events, facts.voids = trial.events, trial.voids
    return "ok"


def waive(facts: Facts, happening: Waive) -> str:
    """Give up what waits of an event; what is rated, or was waived before, cannot be waived."""
    key = event_key(happening)
    waiting = {
        (one.event, one.meter)
        for one in rate_all(facts).unrated
        if one.event == key and one.reason != "waived"
    }
    if not waiting:
        return "refused"
    facts.waived |= waiting
    return "ok"


def amounts(facts: Facts) -> dict[tuple[EventKey, str], Fraction]:
    """The amount of every rated meter of every event."""
    return {(one.event, one.group[2]): one.amount for one in rate_all(facts).rated}


def is_whole_hour(instant: datetime) -> bool:
    """True for a whole UTC hour (zones with half hours do not matter: instants are UTC)."""
    return instant.timestamp() % 3600 == 0


def commit_is_over(facts: Facts, commit: str) -> bool:
    """True once the last quarter of a commit has been posted; its own prices stand then."""
    chain = facts.chain_of(commit)
    own = [slot for slot in chain_slots(facts, chain) if slot.commit.key == commit]
    final = chain.ended is not None or chain.commits[-1].key != commit
    return final and all(slot.key in chain.posted for slot in own)


def add_price(facts: Facts, happening: AddPrice | AddOverride | AddPrivatePrice) -> str:
    """Add a price unless it would change an amount already rated; a gap may be filled."""
    if not is_whole_hour(happening.price.effective_at):
        return "refused"
    if isinstance(happening, AddOverride) and commit_is_over(facts, happening.commit):
        return "refused"
    trial = copy(facts)
    if isinstance(happening, AddPrice):
        trial.book = [*facts.book, happening.price]
    elif isinstance(happening, AddPrivatePrice):
        own = [*facts.private.get(happening.customer, []), happening.price]
        trial.private = {**facts.private, happening.customer: own}
    else:
        own = [*facts.overrides.get(happening.commit, []), happening.price]
        trial.overrides = {**facts.overrides, happening.commit: own}
    after = amounts(trial)
    if any(after.get(key) != amount for key, amount in amounts(facts).items()):
        return "price_in_force"
    facts.book, facts.private, facts.overrides = trial.book, trial.private, trial.overrides
    return "ok"
