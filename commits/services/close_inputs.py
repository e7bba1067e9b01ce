"""What a close depends on, gathered from the books into the pure plan's inputs.

Usage comes live, or frozen from an approved plan; everything else is always as it is now, so that
comparing digests tells whether anything but usage has changed since the approval.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import structs

from billing.domain.money import ZERO, plain, to_cents
from commits.domain.chain import GrantKind, UsageSlice, run_chain
from commits.domain.close import (
    BillKind,
    CloseInputs,
    ClosePlan,
    EarlierQuarter,
    GrantToInvoice,
    UsageGroup,
)
from commits.models import Quarter, QuarterState
from commits.services.chains import (
    GIVEN_BACK_REF,
    ChainState,
    Groups,
    continues,
    given_back_grant,
    pending_give_back,
    quarter_inputs,
)
from commits.services.invoicing import stripe_minimum_cents
from metering.services import totals


def close_inputs(
    state: ChainState,
    quarter: Quarter,
    *,
    frozen: CloseInputs | None = None,
    preview: bool = False,
) -> CloseInputs:
    """The inputs of the close of one quarter. With `frozen`, its usage instead of the live one.

    A `preview` may be of any unposted quarter: those before it are taken to close as they stand.
    """
    usage: Mapping[int, tuple[UsageSlice, ...]] = state.live
    if frozen is not None:
        usage = {item.index: item.usage for item in frozen.quarters}
        closing, late = frozen.groups, {item.position: item.late_groups for item in frozen.earlier}
    else:
        closing = _groups_of(quarter, state.groups)
        late = late_groups(state.quarters[: quarter.position - 1])
    return CloseInputs(
        quarters=quarter_inputs(
            state,
            usage,
            close_position=quarter.position,
            extra=_pending_credit(state, usage) if preview else None,
        ),
        groups=closing,
        earlier=_earlier(state, quarter, late, usage),
        to_invoice=_to_invoice(state, quarter),
        minimum_cents=stripe_minimum_cents(),
        continues=continues(state, quarter),
    )


def usage_groups(quarter: Quarter) -> tuple[UsageGroup, ...]:
    """The rated usage of a quarter by model, mode, meter and rate, sorted."""
    return _groups_of(quarter, {})


def _groups_of(quarter: Quarter, known: Groups) -> tuple[UsageGroup, ...]:
    period = quarter.usage_period_id
    if period not in known:
        known = totals.period_totals(period_ids=[period])
    return tuple(UsageGroup(g.model, g.mode, g.meter, g.rate, g.quantity) for g in known[period])


def groups_as_json(groups: tuple[UsageGroup, ...]) -> list[list[str]]:
    """Usage groups as a quarter remembers them once they have been billed."""
    return [[g.model, g.mode, g.meter, plain(g.rate), str(g.quantity)] for g in groups]


def late_groups(quarters: Sequence[Quarter]) -> dict[int, tuple[UsageGroup, ...]]:
    """Per posted quarter: what its usage groups gained since they were billed, voids netted; less
    than nothing where more was voided than came."""
    late = {}
    for before in quarters:
        if before.state != QuarterState.POSTED or not _has_gained(before):
            continue
        now = usage_groups(before)
        known = _billed_groups(before)
        gained = [structs.replace(g, quantity=g.quantity - known.pop(_key(g), 0)) for g in now]
        # What is not there any more has been voided: it counts again when it comes again.
        gained += [
            UsageGroup(model, mode, meter, Decimal(rate), -quantity)
            for (model, mode, meter, rate), quantity in known.items()
        ]
        late[before.position] = tuple(sorted(g for g in gained if g.quantity))
    return late


def _key(group: UsageGroup) -> tuple[str, str, str, str]:
    return (group.model, group.mode, group.meter, plain(group.rate))


def _billed_groups(quarter: Quarter) -> dict[tuple[str, str, str, str], int]:
    return {(row[0], row[1], row[2], row[3]): int(row[4]) for row in quarter.billed_groups}


def _has_gained(quarter: Quarter) -> bool:
    """Whether more than its billed groups is booked: spares reading the groups of old quarters."""
    known = sum(
        (Decimal(rate) * int(quantity) for *_, rate, quantity in quarter.billed_groups), ZERO
    )
    booked: Decimal = quarter.booked_drawn + quarter.booked_overage
    return known != booked


def _earlier(
    state: ChainState,
    quarter: Quarter,
    late: Mapping[int, tuple[UsageGroup, ...]],
    usage: Mapping[int, tuple[UsageSlice, ...]],
) -> tuple[EarlierQuarter, ...]:
    before = state.quarters[: quarter.position - 1]
    overage: dict[int, Decimal] = {}
    if any(item.state != QuarterState.POSTED for item in before):
        # Only in a preview: an earlier quarter will have billed its overage at its own close.
        chain = run_chain(quarter_inputs(state, usage, close_position=quarter.position))
        overage = {
            q.position: chain[q.position - 1].overage
            for q in before
            if q.state != QuarterState.POSTED
        }
    return tuple(
        EarlierQuarter(
            position=item.position,
            closed_overage=overage.get(item.position, item.closed_overage),
            given_back=item.overage_given_back,
            overage_billed_cents=(
                to_cents(overage[item.position])
                if item.position in overage
                else item.overage_billed_cents
            ),
            late_billed_cents=item.late_billed_cents,
            late_groups=late.get(item.position, ()),
        )
        for item in before
    )


def _pending_credit(
    state: ChainState, usage: Mapping[int, tuple[UsageSlice, ...]]
) -> dict[int, list[Any]] | None:
    """Overage that late usage takes back but that no booking has given back yet."""
    current = state.open_quarter
    back = pending_give_back(state, run_chain(quarter_inputs(state, usage)))
    if not back or current is None:
        return None
    return {current.position: [given_back_grant(GIVEN_BACK_REF, back)]}


_BILLED_AS = {
    GrantKind.INSTALMENT.value: BillKind.INSTALMENT,
    GrantKind.TRUE_UP.value: BillKind.TRUE_UP,
}


def _to_invoice(state: ChainState, quarter: Quarter) -> tuple[GrantToInvoice, ...]:
    """Instalments through the next quarter, and true-ups through this one, not invoiced yet.

    Of the quarter's own commit alone: an invoice bills one commit in advance. In a preview the
    unposted quarters before have billed theirs at their own closes.
    """
    before = state.quarters[: quarter.position - 1]
    waits = any(item.state != QuarterState.POSTED for item in before)
    # The last position whose money of each kind earlier closes bill.
    billed_through = {
        BillKind.INSTALMENT: quarter.position if waits else 0,
        BillKind.TRUE_UP: quarter.position - 1 if waits else 0,
    }
    last = {BillKind.INSTALMENT: quarter.position + 1, BillKind.TRUE_UP: quarter.position}
    found = []
    for item in state.quarters[: quarter.position + 1]:
        if item.commit_id != quarter.commit_id:
            continue
        for grant in state.issued[item.position]:
            kind = _BILLED_AS.get(grant.kind)
            if kind is None or grant.invoice_id:
                continue
            if billed_through[kind] < item.position <= last[kind]:
                found.append(GrantToInvoice(kind, item.position, grant.ref, to_cents(grant.amount)))
    return tuple(found)


def plan_as_json(plan: ClosePlan) -> dict[str, Any]:
    """A plan for people and for the API: twelve-decimal strings and whole cents."""
    figures = plan.figures
    return {
        "granted": plain(figures.granted),
        "rolled_in": plain(figures.rolled_in),
        "used": plain(figures.used),
        "drawn": plain(figures.drawn),
        "overage": plain(figures.overage),
        "rolled_out": plain(figures.rolled_out),
        "breakage": plain(figures.breakage),
        "overage_cents": plan.overage_cents,
        "total_cents": plan.total_cents,
        "carried_cents": plan.carried_cents,
        "refund_cents": plan.refund_cents,
        "ends": plan.ends,
        "residue": plain(plan.residue),
        "grants": [
            {
                "ref": item.grant.ref,
                "kind": item.grant.kind.value,
                "amount": plain(item.grant.amount),
                "drawn": plain(item.drawn),
                "rolled_out": plain(item.rolled_out),
                "breakage": plain(item.broken),
            }
            for item in figures.grants
        ],
        "lines": msgspec.to_builtins([*plan.lines]),
    }
