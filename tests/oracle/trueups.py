"""True-ups and credits: from which quarter they count, and what is billed at once."""

from dataclasses import replace
from datetime import datetime, timedelta

from .billing_run import issue
from .events import is_whole_hour
from .facts import Approved, Facts, Granted
from .fold import true_up_source
from .happenings import ApproveTrueUp, Credit, RequestTrueUp
from .invoices import Line
from .quarters import boundary
from .rating import chain_slots
from .terms import Commit


def running_index(commit: Commit, at: datetime) -> int:
    """The quarter running at an instant; before the start it is the first."""
    index = 1
    while boundary(commit, index + 1) <= at:
        index += 1
    return index


def next_whole_hour(instant: datetime) -> datetime:
    """The instant itself where it is a whole hour, else the next one."""
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + timedelta(hours=1)


def request(facts: Facts, happening: RequestTrueUp) -> str:
    """Keep a request; its first quarter defaults to the one running now."""
    commit = facts.commit(happening.commit)
    if commit.quarters is None or happening.key in facts.requests:
        return "refused"
    first = happening.from_quarter or running_index(commit, happening.at)
    through = happening.through_quarter or commit.quarters
    if not first <= through <= commit.quarters or happening.amount <= 0:
        return "refused"
    if (commit.key, first) in facts.chain_of(commit.key).posted:
        return "refused"
    if happening.effective_at and not is_whole_hour(happening.effective_at):
        return "refused"
    facts.requests[happening.key] = (happening, first)
    return "ok"


def approve(facts: Facts, happening: ApproveTrueUp) -> str:
    """Approve: a grant at once where the instalment was invoiced, else the instalment grows.

    Quarters posted since the request drop out; where all did, it starts with the next one of the
    term. The discount is never in force before the approval.
    """
    if happening.key not in facts.requests or happening.key in facts.approved:
        return "refused"
    wanted, first = facts.requests[happening.key]
    commit, chain = facts.commit(wanted.commit), facts.chain_of(wanted.commit)
    assert commit.quarters is not None
    term = range(first, commit.quarters + 1)
    unposted = [index for index in term if (commit.key, index) not in chain.posted]
    if not unposted:
        return "refused"
    through = max(wanted.through_quarter or commit.quarters, unposted[0])
    live = [index for index in unposted if index <= through]
    waiting = {(line.commit, line.quarter) for line in chain.waiting if line.kind == "instalment"}
    invoiced = chain.instalments_billed - waiting
    granted = tuple(index for index in live if (commit.key, index) in invoiced)
    chain.waiting = [
        replace(line, cents=line.cents + int(wanted.amount * 100))
        if line.kind == "instalment" and line.commit == commit.key and line.quarter in live
        else line
        for line in chain.waiting
    ]
    starts = None
    if wanted.discount is not None:
        soonest = next_whole_hour(happening.at)
        starts = max(soonest, wanted.effective_at or soonest)
    facts.approved[happening.key] = Approved(
        wanted, happening.at, facts.next_number(), live[0], through, granted, starts
    )
    if wanted.bill_now and granted:
        approved = facts.approved[happening.key]
        lines = [
            Line(
                "true_up",
                commit.key,
                index,
                int(wanted.amount * 100),
                source=true_up_source(approved, index),
            )
            for index in granted
        ]
        if issue(facts, chain, commit.key, f"true-up {wanted.key}", lines) is None:
            in_arrears = replace(wanted, bill_now=False)
            facts.approved[wanted.key] = replace(facts.approved[wanted.key], request=in_arrears)
    return "ok"


def credit(facts: Facts, happening: Credit) -> str:
    """Grant a credit in the quarter running at its approval, or in a named unposted one."""
    commit, chain = facts.commit(happening.commit), facts.chain_of(happening.commit)
    index = happening.quarter or running_index(commit, happening.at)
    slot = (commit.key, index)
    exists = any(one.key == slot for one in chain_slots(facts, chain))
    none_runs = happening.quarter is None and happening.at < boundary(commit, 1)
    if slot in chain.posted or not exists or none_runs or happening.amount <= 0:
        return "refused"
    expires = happening.expires_at
    if expires and (not is_whole_hour(expires) or expires <= boundary(commit, index)):
        return "refused"
    facts.credits.append(
        Granted(
            slot,
            happening.amount,
            expires,
            happening.rolls_over,
            False,
            happening.at,
            facts.next_number(),
        )
    )
    return "ok"
