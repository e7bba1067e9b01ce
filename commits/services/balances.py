"""What is left: reading a commit's balance and quarters, never stale.

Every figure is the live chain's, so it includes every event accepted so far and late usage of
closed quarters. Nothing here writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from billing.domain.errors import NotFound
from billing.domain.money import ZERO
from billing.models import Customer
from commits.domain.chain import GrantFigures, QuarterFigures, run_chain
from commits.domain.forecast import Ahead, runs_out_at
from commits.models import Commit, CommitState, Quarter, QuarterState
from commits.services.chains import (
    GIVEN_BACK_REF,
    ChainState,
    given_back_grant,
    live_figures,
    load_chains,
    pending_give_back,
    quarter_inputs,
)
from metering.services import totals

PACE_DAYS = 14


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has left in one quarter, as of an instant. Exact dollars."""

    customer: Customer
    commit: Commit
    quarter: Quarter
    state: str
    as_of: datetime
    granted: Decimal
    used: Decimal
    available: Decimal
    overage: Decimal
    pending_rollover: Decimal
    unrated_events: int
    grants: Sequence[GrantFigures]
    grant_ids: Mapping[str, str]
    runs_out_at: datetime | None


@dataclass(frozen=True, slots=True)
class QuarterView:
    """One quarter with the recomputed chain's figures. `state` includes `invoiced`."""

    quarter: Quarter
    state: str
    figures: QuarterFigures


def shown_state(quarter: Quarter) -> str:
    """A posted quarter counts as invoiced once its invoice has left, or if it needed none."""
    if quarter.state != QuarterState.POSTED:
        return str(quarter.state)
    invoice = quarter.invoice
    return "posted" if invoice is not None and invoice.state == "draft" else "invoiced"


def commit_in_force(*, customer: Customer, at: datetime) -> Commit | None:
    """The commit whose quarter contains `at`; else the next one to start, else the last ended."""
    quarters = Quarter.objects.filter(commit__customer=customer).select_related("commit")
    current = quarters.filter(starts_at__lte=at, ends_at__gt=at).first()
    if current is None:
        current = quarters.filter(starts_at__gt=at).order_by("starts_at").first()
    if current is None:
        current = quarters.order_by("-ends_at").first()
    return current.commit if current else None


def read_balance(*, customer: Customer, now: datetime, commit_id: UUID | None = None) -> Balance:
    """The balance of the quarter that runs at `now` (or is nearest to it).

    Raises NotFound `no_commit`, `unknown_commit`.
    """
    if commit_id is None:
        commit = commit_in_force(customer=customer, at=now)
        if commit is None:
            raise NotFound("no_commit", "this customer has no active commit")
    else:
        found = Commit.objects.filter(pk=commit_id, customer=customer)
        commit = found.exclude(state=CommitState.DRAFT).first()
        if commit is None:
            raise NotFound("unknown_commit", "this customer has no such active commit")
    state = load_chains(origin_ids=[commit.origin_id])[commit.origin_id]
    figures = live_figures(state)
    quarter = _quarter_at(state, commit, now)
    current = figures[quarter.position - 1]
    pending = _pending_rollover(state, quarter)
    unrated = totals.open_unrated_counts(period_ids=[quarter.usage_period_id])
    available = sum((item.remaining for item in current.grants if not _expired(item, now)), ZERO)
    return Balance(
        customer=customer,
        commit=commit,
        quarter=quarter,
        state=shown_state(quarter),
        as_of=now,
        granted=current.granted,
        used=current.used,
        available=available,
        overage=current.overage,
        pending_rollover=pending,
        unrated_events=unrated.get(quarter.usage_period_id, 0),
        grants=current.grants,
        grant_ids=_grant_ids(state, quarter),
        runs_out_at=_forecast(state, quarter, available + pending, now),
    )


def _pending_rollover(state: ChainState, quarter: Quarter) -> Decimal:
    """What would roll in if all quarters before this one closed now, beyond what has rolled in."""
    current = state.open_quarter
    if current is None or current.position >= quarter.position:
        return ZERO
    back = pending_give_back(state, run_chain(quarter_inputs(state, state.live)))
    extra = {current.position: [given_back_grant(GIVEN_BACK_REF, back)]} if back else None
    before = quarter_inputs(state, state.live, close_position=quarter.position - 1, extra=extra)
    return run_chain(before)[-1].rolled_out


def _grant_ids(state: ChainState, quarter: Quarter) -> dict[str, str]:
    """The ids of a quarter's grants by their ref. A rollover that is not booked yet has none."""
    stored = [*state.issued[quarter.position], *state.rollovers[quarter.position]]
    return {grant.ref: str(grant.pk) for grant in stored}


def _expired(item: GrantFigures, now: datetime) -> bool:
    return item.grant.expires_at is not None and item.grant.expires_at <= now


def _quarter_at(state: ChainState, commit: Commit, now: datetime) -> Quarter:
    own = [quarter for quarter in state.quarters if quarter.commit_id == commit.pk]
    running = [quarter for quarter in own if quarter.starts_at <= now < quarter.ends_at]
    if running:
        return running[0]
    return own[0] if now < own[0].starts_at else own[-1]


def _forecast(
    state: ChainState, quarter: Quarter, available: Decimal, now: datetime
) -> datetime | None:
    """Straight on at the pace of the last two weeks, with the instalments still to come."""
    if not quarter.starts_at <= now < quarter.ends_at:
        return None
    periods = {q.usage_period_id: q for q in state.quarters if q.ends_at > now - PACE}
    since = (now - PACE).date()
    spent = sum(
        (
            amount
            for days in totals.day_amounts(period_ids=list(periods)).values()
            for day, amount in days.items()
            if day > since
        ),
        ZERO,
    )
    began = max(now - PACE, state.quarters[0].starts_at)
    days = max(Decimal((now - began).total_seconds()) / 86_400, Decimal(1))
    following = [
        Ahead(q.ends_at, sum((g.amount for g in state.issued[q.position]), ZERO))
        for q in state.quarters[quarter.position :]
    ]
    return runs_out_at(
        now=now,
        available=available,
        dollars_per_day=spent / days,
        ahead=[Ahead(quarter.ends_at, ZERO), *following],
    )


PACE = timedelta(days=PACE_DAYS)


def read_quarters(*, commit: Commit) -> list[QuarterView]:
    """All quarters of a commit, tail quarters included, with the chain's figures."""
    if commit.state == CommitState.DRAFT:
        return []
    state = load_chains(origin_ids=[commit.origin_id])[commit.origin_id]
    figures = live_figures(state)
    return [
        QuarterView(quarter, shown_state(quarter), figures[quarter.position - 1])
        for quarter in state.quarters
        if quarter.commit_id == commit.pk
    ]
