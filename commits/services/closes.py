"""The close: plan, approve, post, invoice. Each state is a resting place.

Every step is one database transaction under the chains' locks and does nothing when it has been
done; the job may be killed anywhere, run twice, or run by ten workers at once, who then share the
work. Chains are closed in sets: a handful of statements, however many chains are in a set. No step
talks to Stripe: the post leaves a draft invoice that billing pushes.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from billing.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted
from billing.services import audit
from billing.services.retrying import retried
from commits.domain.close import ClosePlan, plan_close
from commits.domain.close_inputs import digest
from commits.models import Close, CloseState, Commit, Quarter, QuarterState
from commits.services.balances import shown_state
from commits.services.bookings import Booking, write_booking
from commits.services.books import book_and_write, moved
from commits.services.chains import load_chains
from commits.services.close_inputs import close_inputs
from commits.services.due_closes import due_at, due_origins
from commits.services.planning import RULE, Planner, reasons_for_human
from commits.services.posting import Posting
from metering.services import totals

# The chains of a set are locked together: many, so that a run is quick, and few enough that their
# customers' events hardly wait and that memory does not grow with the number of commits.
SET, LAST_SET = 500, 50


@dataclass(frozen=True, slots=True)
class CloseRow:
    """What the books say of the close of one quarter.

    `plan` has the plan's figures (`overage`, `rolled_out`, `total_cents`), empty without a close;
    `needs_human` says why no rule may approve it.
    """

    commit_id: UUID
    customer_key: str
    quarter_index: int
    state: str
    digest: str | None
    plan: dict[str, Any]
    invoice_id: UUID | None
    needs_human: tuple[str, ...] = ()


def run_closes(
    *, as_of: datetime, now: datetime, actor: str = RULE, commit_id: UUID | None = None
) -> list[CloseRow]:
    """Plan every quarter due at `as_of`, and approve and post what the rules allow.

    Quarters of a chain post strictly in order; a chain stops at the first that needs a human.
    Raises InvalidInput `as_of_in_future` if `as_of` is later than `now`, NotFound.
    """
    sets = closed_sets(as_of=as_of, now=now, actor=actor, commit_id=commit_id)
    return [row for rows in sets for row in rows]


def closed_sets(
    *,
    as_of: datetime,
    now: datetime,
    actor: str = RULE,
    commit_id: UUID | None = None,
    waits: bool = True,
) -> Iterator[list[CloseRow]]:
    """`run_closes`, set by set: nothing is kept of the sets before. Without `waits`, chains that
    another run has in hand are left to it."""
    if as_of > now:
        raise InvalidInput("as_of_in_future", "as_of may not be later than now")
    if commit_id is not None and not Commit.objects.filter(pk=commit_id).exists():
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    stopped: set[UUID] = set()
    alone = True
    # Another run may be at it too: first what nobody has in hand, then whatever is left by then.
    for skip_locked in (True, False) if waits else (True,):
        passed = set(stopped)
        while origins := [
            pk for pk in due_origins(as_of=as_of, commit_id=commit_id) if pk not in passed
        ]:
            for asked in _sets(origins):
                if not alone:
                    # What another run has closed meanwhile is not read again.
                    asked = due_origins(as_of=as_of, among=asked)
                    if not asked:
                        continue
                with _uncollected():
                    rows, held, held_back = _close_set(
                        asked, as_of=as_of, now=now, actor=actor, skip_locked=skip_locked
                    )
                stopped |= held_back
                missed = set(asked) - held
                alone = alone and not missed
                passed |= held_back | missed
                yield rows


def _sets(origins: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """Chains in sets, smaller ones at the end: runs that share the work are done together."""
    start = 0
    while start < len(origins):
        size = min(SET, max(LAST_SET, (len(origins) - start) // 4))
        yield origins[start : start + size]
        start += size


@contextmanager
def _uncollected() -> Iterator[None]:
    """Let the garbage collector rest for a set: it would walk through all its rows many times, a
    fifth of the work, to find next to nothing. They go by their reference counts."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@retried
def _close_set(
    origin_ids: Sequence[UUID], *, as_of: datetime, now: datetime, actor: str, skip_locked: bool
) -> tuple[list[CloseRow], set[UUID], set[UUID]]:
    """Plan, approve by rule and post the earliest quarter of each chain, in one transaction.

    Returns the rows, the chains that were looked at, and those of them that a human has to see.
    """
    rows = []
    held_back: set[UUID] = set()
    with transaction.atomic(durable=True):
        states = load_chains(
            origin_ids=origin_ids, lock=True, skip_locked=skip_locked, closing_at=now
        )
        book_and_write(moved(states.values()), now)
        booking = Booking(now)
        planner, posting = Planner(states.values(), booking), Posting(booking)
        for state in states.values():
            quarter = state.open_quarter
            if quarter is None or due_at(state.commit_of(quarter), quarter) > as_of:
                continue
            planned = planner.plan(state, quarter, actor=actor)
            close = planned.close
            if close.state == CloseState.APPROVED:
                may_post = planner.still_holds(state, quarter, planned)
            else:
                may_post = not close.needs_human
                if may_post:
                    planner.approve(quarter, close, actor=RULE)
            if may_post:
                posting.post(state, close, planned.inputs, planned.plan)
            else:
                held_back.add(state.origin.pk)
            # What was posted here has a draft at most.
            shown = quarter.state
            if shown == QuarterState.POSTED and not quarter.invoice_id:
                shown = "invoiced"
            rows.append(_row(state.commit_of(quarter), quarter, close, shown))
        posting.write()
    return rows, set(states), held_back


def _row(commit: Commit, quarter: Quarter, close: Close | None, shown: str) -> CloseRow:
    plan = close.plan if close else {}
    return CloseRow(
        commit_id=commit.pk,
        customer_key=commit.customer.key,
        quarter_index=quarter.index,
        state=shown,
        digest=close.digest if close else None,
        plan={key: plan.get(key) for key in ("overage", "rolled_out", "total_cents")},
        invoice_id=quarter.invoice_id,
        needs_human=tuple(close.needs_human) if close else (),
    )


@retried
def approve_close(
    *, commit_id: UUID, index: int, actor: str, now: datetime, expected_digest: str | None = None
) -> Close:
    """Approve the close of one quarter: freezes its inputs; later events are late usage.

    The quarter's plan is made anew from what is there now; with `expected_digest` it must still be
    the plan that the approver looked at. Approving again returns the approved close.
    Raises Conflict `not_due`, `not_next`, `unrated_usage`, `plan_changed`, NotPermitted
    `maker_is_checker`, NotFound.
    """
    quarter = _quarter(commit_id, index)
    with transaction.atomic(durable=True):
        state = load_chains(origin_ids=[quarter.origin_id], lock=True)[quarter.origin_id]
        book_and_write([state], now)
        quarter = state.quarters[quarter.position - 1]
        commit = state.commit_of(quarter)
        live = quarter.closes.exclude(state=CloseState.WITHDRAWN).first()
        if live is not None and live.state in (CloseState.APPROVED, CloseState.POSTED):
            return live
        if state.open_quarter is not quarter:
            raise Conflict("not_next", "an earlier quarter has not been posted yet")
        if due_at(commit, quarter) > now:
            raise Conflict("not_due", "the quarter's grace has not passed yet")
        booking = Booking(now)
        planner = Planner([state], booking)
        planner_name = live.planned_by if live is not None else RULE
        close = planner.plan(state, quarter, actor=planner_name).close
        if any(reason.startswith("unrated_usage") for reason in close.needs_human):
            raise Conflict("unrated_usage", "usage without a price blocks this close")
        if expected_digest is not None and close.digest != expected_digest:
            raise Conflict("plan_changed", "the plan is not the one that was looked at any more")
        if close.planned_by == actor:
            raise NotPermitted("maker_is_checker", "whoever planned a close may not approve it")
        planner.approve(quarter, close, actor=actor)
        write_booking(booking)
        audit.record(
            at=now,
            actor_name=actor,
            action="approve",
            object_type="close",
            object_ref=f"{commit.pk}/{index}",
            customer_key=commit.customer.key,
            details={"digest": close.digest},
        )
    return quarter.closes.get(revision=close.revision)


@retried
def post_approved(*, origin_id: UUID, now: datetime) -> Close | None:
    """Post the approved close of a chain, if there is one. Idempotent.

    Returns it; where something else than usage has changed since, withdrawn and not posted.
    """
    with transaction.atomic(durable=True):
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        quarter = state.open_quarter
        if quarter is None or quarter.state != QuarterState.APPROVED:
            return None
        booking = Booking(now)
        planner, posting = Planner([state], booking), Posting(booking)
        planned = planner.plan(state, quarter, actor=RULE)
        if planner.still_holds(state, quarter, planned):
            posting.post(state, planned.close, planned.inputs, planned.plan)
        posting.write()
    return planned.close


def preview_close(*, commit_id: UUID, index: int) -> tuple[Quarter, ClosePlan, str, list[str]]:
    """The plan of a quarter as of now, also for one still running. Changes nothing.

    Returns (quarter, plan, digest, reasons for a human). Raises NotFound, Conflict `not_next`,
    `already_posted`.
    """
    quarter = _quarter(commit_id, index)
    state = load_chains(origin_ids=[quarter.origin_id])[quarter.origin_id]
    quarter = state.quarters[quarter.position - 1]
    if quarter.state == QuarterState.POSTED:
        raise Conflict("already_posted", "the quarter is posted; its close shows what was planned")
    inputs = close_inputs(state, quarter, preview=True)
    plan = plan_close(inputs)
    unrated = totals.open_unrated_counts(period_ids=[quarter.usage_period_id])
    reasons = reasons_for_human(
        state.commit_of(quarter), plan, unrated.get(quarter.usage_period_id, 0)
    )
    return quarter, plan, digest(inputs), reasons


def _quarter(commit_id: UUID, index: int) -> Quarter:
    quarter = Quarter.objects.filter(commit=commit_id, index=index).first()
    if quarter is None:
        raise NotFound("unknown_quarter", f"commit {commit_id} has no quarter {index}")
    return quarter


def row_of(*, commit_id: UUID, index: int) -> CloseRow:
    """What the books say of the close of one quarter. Raises NotFound."""
    quarter = _quarter(commit_id, index)
    close = quarter.closes.exclude(state=CloseState.WITHDRAWN).first()
    return _row(quarter.commit, quarter, close, shown_state(quarter))
