"""Loading chains: everything that the pure chain needs, read set-based for many commits at once.

Owns the locks of the money side: the origin commits of the chains, in id order, and then the
customers' usage state, which ingest takes too. Whoever holds both sees usage that cannot move.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from billing.domain.array_format import array_of
from billing.domain.money import ZERO, from_cents
from billing.models import Customer
from commits.domain.chain import (
    Grant as ChainGrant,
)
from commits.domain.chain import (
    GrantKind,
    QuarterFigures,
    QuarterInput,
    Settlement,
    UsageSlice,
    run_chain,
)
from commits.domain.close import give_back
from commits.domain.policies import EndOfTerm, RolloverPolicy
from commits.models import Commit, CommitState, Grant, Quarter, QuarterState
from metering.services import rate_cards, totals
from metering.services.usage_lock import LockedUsage

GIVEN_BACK_REF = "given_back:pending"


# The usage groups of periods, sorted and without zeros.
Groups = Mapping[int, Sequence[totals.GroupTotal]]


@dataclass(slots=True)
class ChainState:
    """One chain of commits as stored, with its usage as of the load.

    `quarters` are all quarters of the chain by position; `issued` their grants other than
    rollovers; `live` the usage slices as metering has them now, by position; `groups`, where they
    were asked for, that usage by model, mode, meter and rate, by usage period.
    """

    origin: Commit
    commits: dict[UUID, Commit]
    quarters: list[Quarter]
    issued: dict[int, list[Grant]]
    live: dict[int, tuple[UsageSlice, ...]]
    ingest_seq: int = 0
    rated_seq: int = 0
    rollovers: dict[int, list[Grant]] = field(default_factory=dict)
    groups: Groups = field(default_factory=dict)

    @property
    def open_quarter(self) -> Quarter | None:
        """The earliest quarter that is not posted yet."""
        posted = QuarterState.POSTED
        for quarter in self.quarters:
            if quarter.state != posted:
                return quarter
        return None

    def quarter_at(self, position: int) -> Quarter | None:
        """The quarter at a place in the chain, counted from 1."""
        if 1 <= position <= len(self.quarters):
            return self.quarters[position - 1]
        return None

    def commit_of(self, quarter: Quarter) -> Commit:
        return self.origin if len(self.commits) == 1 else self.commits[quarter.commit_id]


def load_chains(
    *,
    origin_ids: Iterable[UUID],
    lock: bool = False,
    skip_locked: bool = False,
    closing_at: datetime | None = None,
) -> dict[UUID, ChainState]:
    """The chains of these origins. With `lock` (inside a database transaction) the origins and
    the usage of their customers stay as they are until it ends; with `skip_locked` those that
    somebody else has locked are left out instead of waited for.

    With `closing_at` they are what a run of closes needs at that instant: their groups are there,
    and quarters that lie ahead are not, as far as no close can ask for them."""
    ids = array_of(sorted(set(origin_ids)))
    condition = "id = ANY (%s::uuid[]) ORDER BY id"
    if lock:
        condition += " FOR NO KEY UPDATE" + (" SKIP LOCKED" if skip_locked else "")
    origins = {commit.pk: commit for commit in Commit.read(condition, [ids])}
    held: dict[int, LockedUsage] = {}
    if lock:
        held = rate_cards.lock_usage(customer_ids=[c.customer_id for c in origins.values()])
    owners = array_of({commit.customer_id for commit in origins.values()})
    customers = {c.pk: c for c in Customer.read("id = ANY (%s::bigint[])", [owners])}
    for commit in origins.values():
        commit.customer = customers[commit.customer_id]
    return _read_chains(origins, held, closing_at)


def _read_chains(
    origins: Mapping[UUID, Commit], held: Mapping[int, LockedUsage], closing_at: datetime | None
) -> dict[UUID, ChainState]:
    states = {pk: ChainState(commit, {pk: commit}, [], {}, {}) for pk, commit in origins.items()}
    for state in states.values():
        if usage := held.get(state.origin.customer_id):
            state.ingest_seq, state.rated_seq = usage.ingest_seq, usage.rated_seq
    ids = array_of(origins)
    for commit in Commit.read("origin_id = ANY (%s::uuid[]) AND origin_id <> id", [ids]):
        states[commit.origin_id].commits[commit.pk] = commit
    _read_quarters(states, closing_at)
    quarters = [quarter for state in states.values() for quarter in state.quarters]
    # By `id`, which is there; to find out what `pk` is takes longer than all else here.
    issued: dict[int, list[Grant]] = {quarter.id: [] for quarter in quarters}
    rollovers: dict[int, list[Grant]] = {quarter.id: [] for quarter in quarters}
    for grant in Grant.read("quarter_id = ANY (%s::bigint[]) ORDER BY id", [array_of(issued)]):
        target = rollovers if grant.kind == GrantKind.ROLLOVER else issued
        target[grant.quarter_id].append(grant)
    periods = [quarter.usage_period_id for quarter in quarters]
    groups, amounts = _usage(periods, with_groups=closing_at is not None)
    for quarter in quarters:
        state = states[quarter.origin_id]
        state.groups = groups
        state.issued[quarter.position] = issued[quarter.id]
        state.rollovers[quarter.position] = rollovers[quarter.id]
        state.live[quarter.position] = _slices(
            quarter, issued[quarter.id], amounts.get(quarter.usage_period_id, ZERO)
        )
    return states


def _read_quarters(states: Mapping[UUID, ChainState], closing_at: datetime | None) -> None:
    """Read the quarters of chains, by position.

    For a run of closes those that have begun, and whatever may begin within a day, if that is sure
    to be enough: a young chain has many more.
    """
    whole = list(states)
    if closing_at is not None:
        begun_by = closing_at + timedelta(days=1)
        _add_quarters(states, f"{_OF_CHAINS} AND starts_at <= %s", [array_of(states), begun_by])
        whole = [pk for pk, state in states.items() if not _goes_on(state)]
        for pk in whole:
            states[pk].quarters.clear()
    if whole:
        _add_quarters(states, _OF_CHAINS, [array_of(whole)])


_OF_CHAINS = "origin_id = ANY (%s::uuid[])"


def _add_quarters(
    states: Mapping[UUID, ChainState], condition: str, given: Sequence[object]
) -> None:
    for quarter in Quarter.read(f"{condition} ORDER BY origin_id, position", given):
        states[quarter.origin_id].quarters.append(quarter)


def _goes_on(state: ChainState) -> bool:
    """Whether the open quarter of a single commit is followed by another of its term for sure, so
    that no quarter behind that one can matter to its close."""
    commit, quarter = state.origin, state.open_quarter
    if quarter is None or len(state.commits) > 1 or commit.state != CommitState.ACTIVE:
        return False
    if state.ingest_seq != commit.booked_seq:
        # A run that is made up for months later meets events of quarters that lay ahead of it, and
        # what a run has booked counts as booked in all quarters.
        return False
    follows = commit.quarter_count is not None and quarter.index < commit.quarter_count
    return follows and state.quarter_at(quarter.position + 1) is not None


def _usage(periods: Sequence[int], *, with_groups: bool) -> tuple[Groups, Mapping[int, Decimal]]:
    """What periods come to, and where asked for what it is made of: read once for both."""
    if not with_groups:
        return {}, totals.period_amounts(period_ids=periods)
    groups = totals.period_totals(period_ids=periods)
    return groups, {
        period: sum([group.rate * group.quantity for group in found], ZERO)
        for period, found in groups.items()
    }


def _slices(quarter: Quarter, grants: Sequence[Grant], amount: Decimal) -> tuple[UsageSlice, ...]:
    """The quarter's usage, cut where a credit expires inside it."""
    cuts = sorted({grant.expires_at for grant in grants if grant.expires_at})
    if not cuts:
        return (UsageSlice(amount),)
    before = totals.amount_before(period_id=quarter.usage_period_id, instants=cuts)
    slices = []
    reached = ZERO
    for instant, cumulative in zip(cuts, before, strict=True):
        slices.append(UsageSlice(cumulative - reached, instant))
        reached = cumulative
    return (*slices, UsageSlice(amount - reached))


def policy_of(commit: Commit) -> RolloverPolicy:
    """The rollover policy that a commit states."""
    return RolloverPolicy(commit.rollover_fraction, commit.rollover_cap, commit.rollover_max_times)


def has_successor(state: ChainState, quarter: Quarter) -> bool:
    """Whether a renewal has been signed: where this quarter ends, or tail quarters later."""
    return state.quarters[-1].commit_id != quarter.commit_id


def continues(state: ChainState, quarter: Quarter) -> bool | None:
    """Whether a quarter follows this one; None where its close decides (an unlimited tail)."""
    commit = state.commit_of(quarter)
    if has_successor(state, quarter):
        return True
    if commit.quarter_count is None:
        return commit.cut_at is None or quarter.ends_at < commit.cut_at
    if quarter.index < commit.quarter_count:
        return True
    limit = commit.tail_quarters
    if commit.end_of_term in (EndOfTerm.EXPIRE, EndOfTerm.REFUND) and limit is None:
        limit = 0
    if limit is not None and quarter.index >= commit.quarter_count + limit:
        return False
    if not quarter.is_tail:
        return True
    # A credit granted already in the quarter after it keeps the tail going: it may be drawn there.
    has_money = any(state.issued[q.position] for q in state.quarters[quarter.position :])
    return True if has_money else None


def settlement_of(state: ChainState, quarter: Quarter) -> Settlement:
    """What becomes of the quarter's leftover when it closes, or closed."""
    commit = state.commit_of(quarter)
    if continues(state, quarter) is False:
        refunds = commit.end_of_term == EndOfTerm.REFUND
        return Settlement.REFUND if refunds else Settlement.EXPIRE
    # A tail that ended empty: money that a void frees afterwards has nowhere to roll.
    is_over = commit.state == CommitState.ENDED and quarter.position == len(state.quarters)
    return Settlement.RETURN if is_over else Settlement.ROLL


_KINDS = {kind.value: kind for kind in GrantKind}


def chain_grant(grant: Grant) -> ChainGrant:
    """A stored grant as the pure chain sees it."""
    return ChainGrant(
        ref=grant.ref,
        kind=_KINDS[grant.kind],
        amount=grant.amount,
        created=grant.id,
        expires_at=grant.expires_at,
        rolls=grant.rolls,
        rolls_whole=grant.rolls_whole,
        paid=grant.paid,
    )


def quarter_inputs(
    state: ChainState,
    usage: Mapping[int, tuple[UsageSlice, ...]],
    *,
    close_position: int = 0,
    through: int = 0,
    extra: Mapping[int, Sequence[ChainGrant]] | None = None,
) -> tuple[QuarterInput, ...]:
    """The chain's inputs with `usage` by position. Posted quarters are closed, and so are those up
    to `close_position`. The chain is cut off behind that, or behind the position `through`."""
    inputs = []
    for quarter in state.quarters[: close_position or through or None]:
        grants = [chain_grant(grant) for grant in state.issued[quarter.position]]
        grants += (extra or {}).get(quarter.position, ())
        inputs.append(
            QuarterInput(
                index=quarter.position,
                grants=tuple(grants),
                usage=usage[quarter.position],
                policy=policy_of(state.commit_of(quarter)),
                settlement=settlement_of(state, quarter),
                closed=quarter.state == QuarterState.POSTED or quarter.position <= close_position,
                refunded=from_cents(quarter.refunded_cents),
            )
        )
    return tuple(inputs)


def booked_slices(quarter: Quarter) -> tuple[UsageSlice, ...]:
    """The usage of a quarter as the journal has it."""
    return tuple(
        UsageSlice(Decimal(amount), datetime.fromisoformat(until) if until else None)
        for until, amount in quarter.booked_usage
    ) or (UsageSlice(ZERO),)


def unbilled_overage(quarters: Iterable[Quarter]) -> Decimal:
    """Exact overage of posted quarters that no invoice has billed, as booked."""
    return sum(
        (
            q.booked_overage
            + q.overage_given_back
            - from_cents(q.overage_billed_cents + q.late_billed_cents)
            for q in quarters
            if q.state == QuarterState.POSTED
        ),
        ZERO,
    )


def pending_give_back(state: ChainState, figures: Sequence[QuarterFigures]) -> Decimal:
    """Overage already invoiced that these figures take back from posted quarters."""
    posted = [quarter for quarter in state.quarters if quarter.state == QuarterState.POSTED]
    reduction = sum(
        (quarter.booked_overage - figures[quarter.position - 1].overage for quarter in posted), ZERO
    )
    return give_back(reduction=reduction, unbilled=unbilled_overage(posted))


def live_figures(state: ChainState) -> list[QuarterFigures]:
    """The chain's figures with every event accepted so far: what anyone is shown."""
    figures = run_chain(quarter_inputs(state, state.live))
    back = pending_give_back(state, figures)
    current = state.open_quarter
    if not back or current is None:
        return figures
    grant = given_back_grant(GIVEN_BACK_REF, back)
    return run_chain(quarter_inputs(state, state.live, extra={current.position: [grant]}))


def given_back_grant(ref: str, amount: Decimal) -> ChainGrant:
    """Overage given back, as a grant: exact, and rolling whole."""
    return ChainGrant(
        ref=ref,
        kind=GrantKind.CREDIT,
        amount=amount,
        created=2**62,
        rolls_whole=True,
        paid=True,
    )
