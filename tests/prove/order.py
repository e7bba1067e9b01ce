"""Arrival order: the same usage in another order must end in the same figures.

While its quarter is open nothing may depend on when usage arrives; so usage that arrives between
two other happenings of one day is turned round, and the whole story told again.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from itertools import groupby

from tests.oracle.happenings import Happening, Use, Void
from tests.oracle.rating import chain_slots
from tests.oracle.world import World
from tests.prove import figures
from tests.prove.database import given_up
from tests.prove.twin import DifferenceError, Twin, tell


def turned_round(story: list[Happening], *, lazy: bool) -> list[Happening]:
    """The story with usage of open quarters in another order of arrival; the same if there is none.

    Who takes back an event still comes after it.
    """
    world, told = World(daily_jobs=True, lazy=lazy), list[Happening]()
    days = groupby(
        story, key=lambda one: (isinstance(one, Use | Void), one.at.astimezone(UTC).date())
    )
    for (usage, _), together in days:
        window = list(together)
        if usage and _may_turn(world, window):
            uses = [one for one in reversed(window) if isinstance(one, Use)]
            voids = [one for one in reversed(window) if isinstance(one, Void)]
            arrivals = [one.at for one in window]
            window = [
                replace(one, at=at) for one, at in zip([*uses, *voids], arrivals, strict=True)
            ]
        for one in window:
            world.apply(one)
        told += window
    return told


def _may_turn(world: World, window: list[Happening]) -> bool:
    """Whether all of it is news, has occurred when it begins, and is of quarters not posted."""
    facts, first = world.facts, window[0].at
    names = [one.id for one in window if isinstance(one, Use | Void)]
    known = {name for _, _, name in (*facts.events, *facts.voids)}
    if len(window) < 2 or len({*names}) < len(names) or known & {*names}:
        return False
    posted = [
        slot
        for chain in facts.chains
        for slot in chain_slots(facts, chain)
        if slot.key in chain.posted
    ]
    times = {one.id: one.occurred_at for one in window if isinstance(one, Use)}
    times |= {name: event.occurred_at for (_, _, name), event in facts.events.items()}
    occurred = [
        times.get(one.target_id if isinstance(one, Void) else one.id)
        for one in window
        if isinstance(one, Use | Void)
    ]
    return all(
        at is not None and at <= first and not any(slot.start <= at < slot.end for slot in posted)
        for at in occurred
    )


def check_order(twin: Twin) -> bool:
    """Tell a finished story again in another order of arrival: whether there was another.

    Raises DifferenceError where the end is not the same.
    """
    other = turned_round(twin.story, lazy=twin.lazy)
    if other == twin.story:
        return False
    with given_up():
        again = tell(other, every_day=twin.every_day, lazy=twin.lazy)
    found = figures.differences(_end(twin.world), _end(again.world))
    if found:
        raise DifferenceError(again, ["arrival order changed the end", *found])
    return True


def _end(world: World) -> figures.Figures:
    """All figures at the end of a story."""
    found: figures.Figures = {}
    for chain in world.facts.chains:
        for commit in chain.commits:
            found |= figures.oracle_quarters(world, commit.key)
    for customer in {chain.commits[0].customer for chain in world.facts.chains}:
        found |= figures.oracle_invoices(world, customer)
        found |= figures.oracle_accounts(world, customer)
    return found
