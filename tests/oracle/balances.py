"""What anyone reads of a customer at an instant."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from .facts import Chain, Facts
from .fold import Quarter, fold_chain
from .money import ZERO
from .rating import Usage, rate_all


@dataclass(frozen=True)
class GrantView:
    """One grant as the balance shows it."""

    kind: str
    amount: Fraction
    remaining: Fraction
    expires_at: datetime


@dataclass(frozen=True)
class Balance:
    """The quarter running at an instant, and what of it is drawable."""

    commit: str
    index: int
    state: str
    granted: Fraction
    used: Fraction
    available: Fraction
    overage: Fraction
    pending_rollover: Fraction
    unrated_events: int
    grants: tuple[GrantView, ...]


def balance_at(facts: Facts, customer: str, at: datetime) -> Balance | None:
    """The balance of the commit in force; every event accepted so far is in it."""
    usage = rate_all(facts)
    for chain in facts.chains:
        if chain.commits[0].customer != customer:
            continue
        for quarter in fold_chain(facts, chain, usage):
            if quarter.slot.start <= at < quarter.slot.end:
                return _view(facts, chain, usage, quarter, at)
    return None


def pending_rollover(facts: Facts, chain: Chain, usage: Usage, quarter: Quarter) -> Fraction:
    """What would roll in if every earlier quarter closed now, beyond what has."""
    slots = [one.slot for one in fold_chain(facts, chain, usage)]
    earlier = {slot.key for slot in slots[: slots.index(quarter.slot)]}
    planned = fold_chain(facts, chain, usage, posted=chain.posted | earlier)
    then = next(one for one in planned if one.slot == quarter.slot)
    return then.rolled_in - quarter.rolled_in


def _view(facts: Facts, chain: Chain, usage: Usage, quarter: Quarter, at: datetime) -> Balance:
    left = [
        (one.drawn.grant, ZERO if quarter.posted else one.drawn.left) for one in quarter.settled
    ]
    customer = chain.commits[0].customer
    waiting = {
        one.event for one in usage.unrated if one.event[0] == customer and one.reason != "waived"
    }
    return Balance(
        commit=quarter.slot.commit.key,
        index=quarter.slot.index,
        state="posted" if quarter.posted else "open",
        granted=quarter.granted,
        used=quarter.used,
        available=sum((rest for grant, rest in left if grant.expires_at > at), ZERO),
        overage=quarter.overage,
        pending_rollover=pending_rollover(facts, chain, usage, quarter),
        unrated_events=len(waiting),
        grants=tuple(
            GrantView(grant.kind, grant.amount, rest, grant.expires_at) for grant, rest in left
        ),
    )
