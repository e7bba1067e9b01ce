"""The close: plan, approve, post, invoice. Each state is a resting place.

Every step is one database transaction under the chain's locks and does nothing when it has been
done; the job may be killed anywhere, run twice, or run by ten workers at once. No step talks to
Stripe: the post leaves a draft invoice that billing pushes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Min

from billing.domain.errors import Conflict, InvalidInput, NotFound, NotPermitted
from billing.domain.money import from_cents
from billing.services import audit
from billing.services.retrying import retried
from commits.domain.close import ClosePlan, canonical, digest, inputs_from_json, plan_close
from commits.models import Close, CloseState, Commit, CommitState, Quarter, QuarterState
from commits.services.bookings import write_booking
from commits.services.books import book_chains
from commits.services.chains import ChainState, load_chains
from commits.services.close_inputs import close_inputs, plan_as_json
from commits.services.posting import post_chain
from metering.services import totals

RULE = "rule"
CHUNK = 100


@dataclass(frozen=True, slots=True)
class CloseRow:
    """What a run of the closes did for one quarter."""

    quarter: Quarter
    commit: Commit
    close: Close | None
    needs_human: tuple[str, ...] = ()


def due_at(commit: Commit, quarter: Quarter) -> datetime:
    """The instant from which a quarter may close."""
    return quarter.ends_at + timedelta(hours=commit.grace_hours)


def due_origins(*, as_of: datetime, commit_id: UUID | None = None) -> list[UUID]:
    """Chains whose earliest unposted quarter may close at `as_of`, in id order."""
    open_quarters = Quarter.objects.exclude(state=QuarterState.POSTED)
    earliest = open_quarters.values("origin").annotate(first=Min("position"))
    first = {row["origin"]: row["first"] for row in earliest}
    candidates = (
        open_quarters.filter(ends_at__lte=as_of)
        .annotate(grace=F("commit__grace_hours"))
        .values_list("origin", "position", "ends_at", "grace", "commit")
        .order_by("origin")
    )
    return [
        origin
        for origin, position, ends_at, grace, commit in candidates
        if first[origin] == position
        and ends_at + timedelta(hours=grace) <= as_of
        and (commit_id is None or commit_id in (commit, origin))
    ]


def run_closes(
    *, as_of: datetime, now: datetime, actor: str = RULE, commit_id: UUID | None = None
) -> list[CloseRow]:
    """Plan every quarter due at `as_of`, and approve and post what the rules allow.

    Quarters of a chain post strictly in order; a chain stops at the first that needs a human.
    Raises InvalidInput `as_of_in_future` if `as_of` is later than `now`, NotFound.
    """
    if as_of > now:
        raise InvalidInput("as_of_in_future", "as_of may not be later than now")
    if commit_id is not None and not Commit.objects.filter(pk=commit_id).exists():
        raise NotFound("unknown_commit", f"no commit {commit_id}")
    rows: list[CloseRow] = []
    waiting: set[UUID] = set()
    while origins := [
        pk for pk in due_origins(as_of=as_of, commit_id=commit_id) if pk not in waiting
    ]:
        for start in range(0, len(origins), CHUNK):
            done = _close_chunk(origins[start : start + CHUNK], as_of=as_of, now=now, actor=actor)
            rows += done
            posted = {r.quarter.origin_id for r in done if r.quarter.state == QuarterState.POSTED}
            waiting |= set(origins[start : start + CHUNK]) - posted
    return rows


@retried
def _close_chunk(
    origin_ids: list[UUID], *, as_of: datetime, now: datetime, actor: str
) -> list[CloseRow]:
    """Plan, approve by rule and post the earliest quarter of each chain, set-based."""
    rows = []
    with transaction.atomic(durable=True):
        states = load_chains(origin_ids=origin_ids, lock=True)
        write_booking(book_chains(states.values(), now))
        unrated = _unrated(states.values())
        ready: list[tuple[ChainState, Close]] = []
        for state in states.values():
            quarter = state.open_quarter
            if quarter is None or due_at(state.commit_of(quarter), quarter) > as_of:
                continue
            close = _planned(state, quarter, unrated, now=now, actor=actor)
            if close.state == CloseState.PLANNED and not close.needs_human:
                _approve(quarter, close, actor=RULE, now=now)
            if close.state == CloseState.APPROVED:
                ready.append((state, close))
            rows.append(
                CloseRow(quarter, state.commit_of(quarter), close, tuple(close.needs_human))
            )
        _post(ready, now)
    return rows


def _unrated(states: Iterable[ChainState]) -> dict[int, int]:
    periods = [state.open_quarter.usage_period_id for state in states if state.open_quarter]
    return totals.open_unrated_counts(period_ids=periods)


def _planned(
    state: ChainState,
    quarter: Quarter,
    unrated: dict[int, int],
    *,
    now: datetime,
    actor: str,
) -> Close:
    """The live close of a quarter, planned anew unless it is approved."""
    close = quarter.closes.exclude(state=CloseState.WITHDRAWN).first()
    if close is not None and close.state != CloseState.PLANNED:
        return close
    inputs = close_inputs(state, quarter)
    plan = plan_close(inputs)
    revision = quarter.closes.count() + 1 if close is None else close.revision
    made_anew = digest(inputs)
    # The nightly run must not wash out who planned it, so that the planner could approve.
    same = close is not None and close.digest == made_anew and actor == RULE
    close = close or Close(quarter=quarter, revision=revision)
    close.inputs = {"canonical": canonical(inputs)}
    close.plan = plan_as_json(plan)
    close.digest = made_anew
    close.needs_human = reasons_for_human(
        state.commit_of(quarter), plan, unrated.get(quarter.usage_period_id, 0)
    )
    if not same:
        close.planned_at, close.planned_by = now, actor
    close.save()
    quarter.state = QuarterState.PLANNED
    quarter.save(update_fields=["state"])
    return close


def reasons_for_human(commit: Commit, plan: ClosePlan, unrated_events: int) -> list[str]:
    """Why no rule may let this close pass; empty if one may."""
    reasons = []
    if unrated_events:
        reasons.append(f"unrated_usage: {unrated_events} events have no price")
    limit = commit.auto_approve_max_overage
    if limit is None:
        reasons.append("no_limit: the commit states no limit for closes without a human")
    elif from_cents(plan.overage_cents) > limit or plan.figures.overage > limit:
        reasons.append(f"over_limit: overage is above the commit's limit of {limit}")
    return reasons


def _approve(quarter: Quarter, close: Close, *, actor: str, now: datetime) -> None:
    close.state = CloseState.APPROVED
    close.approved_at, close.approved_by = now, actor
    close.save()
    quarter.state = QuarterState.APPROVED
    quarter.save(update_fields=["state"])


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
        write_booking(book_chains([state], now))
        quarter = state.quarters[quarter.position - 1]
        commit = state.commit_of(quarter)
        live = quarter.closes.exclude(state=CloseState.WITHDRAWN).first()
        if live is not None and live.state in (CloseState.APPROVED, CloseState.POSTED):
            return live
        if state.open_quarter is not quarter:
            raise Conflict("not_next", "an earlier quarter has not been posted yet")
        if due_at(commit, quarter) > now:
            raise Conflict("not_due", "the quarter's grace has not passed yet")
        planner = live.planned_by if live is not None else RULE
        close = _planned(state, quarter, _unrated([state]), now=now, actor=planner)
        if any(reason.startswith("unrated_usage") for reason in close.needs_human):
            raise Conflict("unrated_usage", "usage without a price blocks this close")
        if expected_digest is not None and close.digest != expected_digest:
            raise Conflict("plan_changed", "the plan is not the one that was looked at any more")
        if close.planned_by == actor:
            raise NotPermitted("maker_is_checker", "whoever planned a close may not approve it")
        _approve(quarter, close, actor=actor, now=now)
        audit.record(
            at=now,
            actor_name=actor,
            action="approve",
            object_type="close",
            object_ref=f"{commit.pk}/{index}",
            customer_key=commit.customer.key,
            details={"digest": close.digest},
        )
    return close


@retried
def post_approved(*, origin_id: UUID, now: datetime) -> Close | None:
    """Post the approved close of a chain, if there is one. Idempotent."""
    with transaction.atomic(durable=True):
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        quarter = state.open_quarter
        if quarter is None or quarter.state != QuarterState.APPROVED:
            return None
        close = quarter.closes.get(state=CloseState.APPROVED)
        _post([(state, close)], now)
    return close


def _post(ready: list[tuple[ChainState, Close]], now: datetime) -> None:
    """Post approved closes; one whose other inputs have changed since is withdrawn instead."""
    posted = []
    for state, close in ready:
        quarter = state.open_quarter
        if quarter is None:
            continue
        approved = inputs_from_json(close.inputs["canonical"])
        if digest(close_inputs(state, quarter, frozen=approved)) != close.digest:
            close.state = CloseState.WITHDRAWN
            close.save(update_fields=["state"])
            quarter.state = QuarterState.OPEN
            quarter.save(update_fields=["state"])
            continue
        posted.append(post_chain(state, close, approved, now))
    if posted:
        write_booking(book_chains(posted, now))


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


def ended(commit: Commit) -> bool:
    """Whether nothing follows any more."""
    return commit.state == CommitState.ENDED


def row_of(*, commit_id: UUID, index: int) -> CloseRow:
    """What the books say of the close of one quarter. Raises NotFound."""
    quarter = _quarter(commit_id, index)
    close = quarter.closes.exclude(state=CloseState.WITHDRAWN).first()
    return CloseRow(quarter, quarter.commit, close, tuple(close.needs_human if close else ()))
