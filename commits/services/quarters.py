"""Opening quarters, and taking away those that never came to be.

A term's quarters are opened at activation. Tails and uncommitted customers get their next quarter
a day before it begins, so that usage always finds one; a quarter that was opened ahead goes away
again where its commit ends before it.
"""

from datetime import UTC, datetime, timedelta

from billing.domain.errors import Conflict
from billing.domain.journal import Entry, EntryCode, Scope, postings_of, usage_moves
from billing.services import ledger
from commits.domain.periods import period
from commits.models import BookedDay, Commit, CommitState, Quarter
from commits.services.chains import ChainState, continues
from metering.services import rate_cards

AHEAD = timedelta(days=1)


def open_quarter(*, commit: Commit, index: int, now: datetime) -> Quarter:
    """Create one quarter and the usage period that metering knows it by; it ends where a signed
    commit cuts an uncommitted customer's period, also one that was signed long before."""
    starts_at, ends_at = period(commit.starts_on, commit.timezone, index, commit.period_months)
    ends_at = min(ends_at, commit.cut_at or ends_at)
    if commit.rate_card_id is None:
        raise Conflict("commit_not_active", "the commit has not been activated")
    usage_period = rate_cards.open_period(
        customer_id=commit.customer_id,
        card_id=commit.rate_card_id,
        starts_at=starts_at,
        ends_at=ends_at,
        now=now,
    )
    return Quarter.objects.create(
        commit=commit,
        origin_id=commit.origin_id,
        index=index,
        position=commit.offset + index,
        starts_at=starts_at,
        ends_at=ends_at,
        is_tail=commit.quarter_count is not None and index > commit.quarter_count,
        usage_period=usage_period,
    )


def extend(*, state: ChainState, now: datetime) -> list[Quarter]:
    """Open what the chain needs to reach a day past `now`; inside the caller's transaction,
    under the chain's locks. Adds the quarters to `state.quarters` and returns them."""
    opened: list[Quarter] = []
    while state.quarters:
        last = state.quarters[-1]
        commit = state.commit_of(last)
        if commit.state != CommitState.ACTIVE or last.ends_at > now + AHEAD:
            break
        if continues(state, last) is False:
            break
        quarter = open_quarter(commit=commit, index=last.index + 1, now=now)
        state.quarters.append(quarter)
        state.issued[quarter.position] = []
        opened.append(quarter)
    return opened


def drop_quarter(*, state: ChainState, quarter: Quarter, now: datetime) -> None:
    """Take away an unposted quarter without money: its usage is unrated, or another commit's.

    What had been accrued for it is reversed. Raises Conflict `quarter_has_money` where a credit
    has been granted in it: money does not go away with a quarter.
    """
    if quarter.grants.filter(amount__gt=0).exists():
        raise Conflict("quarter_has_money", "a credit was granted in a quarter that would go away")
    if quarter.booked_drawn or quarter.booked_overage:
        ledger.post_entries(entries=[_reversal(state, quarter, now)], now=now)
    BookedDay.objects.filter(quarter=quarter).delete()
    quarter.grants.all().delete()
    quarter.closes.all().delete()
    period_id = quarter.usage_period_id
    quarter.delete()
    rate_cards.drop_period(period_id=period_id, now=now)


def _reversal(state: ChainState, quarter: Quarter, now: datetime) -> Entry:
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    moves = usage_moves(quarter.index, -quarter.booked_drawn, -quarter.booked_overage)
    return Entry(
        key=f"usage/{state.origin.pk}/dropped/{quarter.position}/{state.origin.book_runs}",
        code=EntryCode.USAGE_REVERSED,
        scope=scope,
        accounting_date=ledger.first_open_date(not_before=now.astimezone(UTC).date()),
        postings=postings_of(scope, *moves),
        quarter_index=quarter.index,
        description="the commit ended before this quarter",
    )
