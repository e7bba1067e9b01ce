"""Planning closes: from chains to plans with their digests, for a whole set of chains at once.

A plan is made anew at each run until it is approved; an approval freezes the usage of its digest,
and falls away when anything else that the close depends on has changed since.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from billing.domain.array_format import array_of
from billing.domain.money import from_cents
from commits.domain.close import ClosePlan, plan_close
from commits.domain.close_inputs import (
    CloseInputs,
    canonical,
    digest,
    digest_of,
    inputs_from_json,
)
from commits.models import Close, CloseState, Commit, Quarter, QuarterState
from commits.services.bookings import Booking
from commits.services.chains import ChainState
from commits.services.close_inputs import close_inputs, plan_as_json
from metering.services import totals

RULE = "rule"


@dataclass(frozen=True, slots=True)
class Planned:
    """A live close with the inputs that its plan is of."""

    close: Close
    inputs: CloseInputs
    plan: ClosePlan


class Planner:
    """Plans the earliest unposted quarters of some chains, loaded under lock.

    Reads what all of them need in a handful of queries; collects what is to be written.
    """

    def __init__(self, states: Iterable[ChainState], booking: Booking) -> None:
        self._booking = booking
        quarters = [quarter for state in states if (quarter := state.open_quarter)]
        self._unrated = totals.open_unrated_counts(
            period_ids=[quarter.usage_period_id for quarter in quarters]
        )
        self._live: dict[int, Close] = {}
        self._revisions: dict[int, int] = {}
        ids = array_of([quarter.pk for quarter in quarters])
        for close in Close.read("quarter_id = ANY (%s::bigint[])", [ids]):
            self._revisions[close.quarter_id] = self._revisions.get(close.quarter_id, 0) + 1
            if close.state != CloseState.WITHDRAWN:
                self._live[close.quarter_id] = close

    def live(self, quarter: Quarter) -> Close | None:
        """The close of a quarter that has not been withdrawn."""
        return self._live.get(quarter.pk)

    def plan(self, state: ChainState, quarter: Quarter, *, actor: str) -> Planned:
        """The live close of a quarter, planned anew unless it is approved."""
        close = self.live(quarter)
        if close is not None and close.state != CloseState.PLANNED:
            inputs = inputs_from_json(close.inputs)
            return Planned(close, inputs, plan_close(inputs))
        inputs = close_inputs(state, quarter)
        plan = plan_close(inputs)
        spelled = canonical(inputs)
        print_ = digest_of(spelled)
        reasons = reasons_for_human(
            state.commit_of(quarter), plan, self._unrated.get(quarter.usage_period_id, 0)
        )
        # The nightly run must not wash out who planned it, so that the planner could approve.
        same = close is not None and close.digest == print_ and actor == RULE
        if close is not None and same and close.needs_human == reasons:
            return Planned(close, inputs, plan)
        if close is None:
            close = Close.fresh(
                quarter_id=quarter.pk, revision=self._revisions.get(quarter.pk, 0) + 1
            )
        close.inputs, close.digest = spelled, print_
        close.plan = plan_as_json(plan)
        close.needs_human = reasons
        if not same:
            close.planned_at, close.planned_by = self._booking.now, actor
        self._booking.settle(close)
        quarter.state = QuarterState.PLANNED
        self._booking.touch(quarter)
        return Planned(close, inputs, plan)

    def still_holds(self, state: ChainState, quarter: Quarter, planned: Planned) -> bool:
        """Whether nothing but usage has changed since an approval; if not, it is withdrawn."""
        found = close_inputs(state, quarter, frozen=planned.inputs)
        if digest(found) == planned.close.digest:
            return True
        planned.close.state = CloseState.WITHDRAWN
        self._booking.settle(planned.close)
        quarter.state = QuarterState.OPEN
        self._booking.touch(quarter)
        return False

    def approve(self, quarter: Quarter, close: Close, *, actor: str) -> None:
        """Approve a planned close: its inputs are frozen from here on."""
        close.state = CloseState.APPROVED
        close.approved_at, close.approved_by = self._booking.now, actor
        self._booking.settle(close)
        quarter.state = QuarterState.APPROVED
        self._booking.touch(quarter)


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
