"""Where a new commit stands among its customer's others: it renews one, cuts one, or is refused.

A commit that starts where a term or a tail quarter ends receives its rollover and continues its
chain. An uncommitted period is cut where a signed commit starts. No two terms overlap. Everything
here is part of an activation, in its database transaction.
"""

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from billing.domain.errors import Conflict
from billing.domain.money import ZERO
from billing.services import ledger
from commits.domain.periods import boundary
from commits.domain.terms import MAX_QUARTERS
from commits.models import Commit, CommitState, Quarter, QuarterState
from commits.services.books import book_and_write
from commits.services.chains import ChainState, continues, load_chains, unbilled_overage
from commits.services.quarters import drop_quarter, open_quarter
from commits.services.refunds import residue_entry
from metering.services import rate_cards


def join_predecessor(commit: Commit, starts_at: datetime, now: datetime) -> None:
    """A commit that starts where an unposted last or tail quarter ends renews its chain.

    It receives that quarter's rollover, and cents go on cumulating. Tail quarters that were opened
    behind it go away; those still missing before it are opened, so that the tail reaches it. The
    end of an uncommitted period is no renewal: that is cut instead.
    """
    latest = (
        Quarter.objects.filter(
            commit__customer=commit.customer,
            commit__quarter_count__isnull=False,
            commit__state=CommitState.ACTIVE,
        )
        .order_by("ends_at")
        .last()
    )
    if latest is None or commit.quarter_count is None:
        return
    state = load_chains(origin_ids=[latest.origin_id], lock=True)[latest.origin_id]
    last = _last_before(state, starts_at, now)
    if last is None:
        return
    for ahead in reversed(state.quarters[last.position :]):
        drop_quarter(state=state, quarter=ahead, now=now)
    commit.origin_id = last.origin_id
    commit.predecessor = state.commit_of(last)
    commit.offset = last.position


def _last_before(state: ChainState, starts_at: datetime, now: datetime) -> Quarter | None:
    """The last or tail quarter that ends at `starts_at`; None where the chain is over by then.

    Raises Conflict `commit_overlaps` where a tail without limit would run into the new term.
    """
    last = state.quarters[-1]
    for _ in range(MAX_QUARTERS):
        if last.ends_at >= starts_at or continues(state, last) is False:
            break
        commit = state.commit_of(last)
        last = open_quarter(commit=commit, index=last.index + 1, now=now)
        state.quarters.append(last)
    if last.ends_at < starts_at and continues(state, last) is not False:
        raise Conflict("commit_overlaps", "the tail before it has no end by then")
    if last.ends_at > starts_at and last.starts_at < starts_at:
        raise Conflict("commit_overlaps", "a successor starts at the end of a quarter")
    found = next((q for q in state.quarters if q.ends_at == starts_at), None)
    if found is None or found.index < (state.commit_of(found).quarter_count or 0):
        return None
    if found.commit_id != last.commit_id or found.state == QuarterState.POSTED:
        raise Conflict("commit_overlaps", "another commit of this customer follows there")
    return found


def make_room(commit: Commit, starts_at: datetime, now: datetime) -> None:
    """Refuse a term that overlaps another's; an uncommitted one is cut where this one starts."""
    term = commit.quarter_count
    ends_at = (
        boundary(commit.starts_on, commit.timezone, term, commit.period_months) if term else None
    )
    others = Quarter.objects.filter(commit__customer=commit.customer, ends_at__gt=starts_at)
    if ends_at is not None:
        others = others.filter(starts_at__lt=ends_at)
    # One without an end goes on after the periods that are open by now.
    endless = Commit.objects.filter(
        customer=commit.customer,
        state=CommitState.ACTIVE,
        quarter_count__isnull=True,
        cut_at__isnull=True,
        quarters__starts_at__lt=starts_at,
    )
    fixed = Q(commit__quarter_count__isnull=False) | Q(state=QuarterState.POSTED)
    running = {*others.values_list("origin", flat=True), *endless.values_list("pk", flat=True)}
    if others.filter(fixed).exists() or (commit.quarter_count is None and running):
        raise Conflict(
            "commit_overlaps", "another commit of this customer is in force in that time"
        )
    for origin_id in sorted(running):
        _cut_uncommitted(origin_id, starts_at, now)


def _cut_uncommitted(origin_id: UUID, at: datetime, now: datetime) -> None:
    """An uncommitted customer signs: the running period ends where the commit starts."""
    state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
    commit = state.origin
    for quarter in reversed(state.quarters):
        if quarter.starts_at >= at:
            drop_quarter(state=state, quarter=quarter, now=now)
        elif quarter.ends_at > at:
            rate_cards.cut_period(period_id=quarter.usage_period_id, ends_at=at, now=now)
            Quarter.objects.filter(pk=quarter.pk).update(ends_at=at)
    commit.cut_at = at
    if not Quarter.objects.filter(commit=commit).exclude(state=QuarterState.POSTED).exists():
        commit.state, commit.ended_at = CommitState.ENDED, at
    commit.save(update_fields=["cut_at", "state", "ended_at"])
    state = book_moved_usage(origin_id, now)
    if state.quarters and state.open_quarter is None:
        left = unbilled_overage(state.quarters)
        entries = residue_entry(
            state, state.quarters[-1], unbilled=left, kept=ZERO, never_billed={}, now=now
        )
        ledger.post_entries(entries=entries, now=now)


def book_moved_usage(origin_id: UUID, now: datetime) -> ChainState:
    """Book usage that has moved between quarters, or has got one: no event came to tell of it."""
    state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
    book_and_write([state], now)
    return state
