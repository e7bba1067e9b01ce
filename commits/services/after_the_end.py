"""Settling late usage, voids and late prices of chains that have no open quarter any more.

Once a day: the rounding entry is reversed, the difference is booked in the last quarter, what the
chain adds is billed by an adjustment invoice, what it takes back is returned by credit notes, and
what is left is rounded anew. Money that was refunded is not called back.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet, Sum

from billing.domain.journal import Entry
from billing.domain.money import ZERO, from_cents, to_cents
from billing.models import Invoice, Occasion
from billing.services import audit, invoices
from billing.services.retrying import retried
from commits.domain.chain import QuarterFigures, run_chain
from commits.domain.close import EarlierQuarter, PlannedLine, plan_adjustment
from commits.models import Quarter, QuarterState
from commits.services.billed import count_cents, remember_late
from commits.services.bookings import Booking, booked_view, write_booking
from commits.services.chains import ChainState, load_chains, quarter_inputs, unbilled_overage
from commits.services.close_inputs import late_groups
from commits.services.grants import project_grants
from commits.services.invoicing import line_drafts, stripe_minimum_cents
from commits.services.late_usage import book_differences
from commits.services.refunds import (
    credit_overbilled,
    never_billed,
    refund_kept,
    residue_entry,
    rounded_off,
)
from commits.services.signing import invoice_id
from metering.services import totals


def settle_ended(*, now: datetime) -> int:
    """Settle every ended chain whose usage is not what is booked, or in which money
    is still owed. Idempotent; how many it was."""
    found = sorted({*unsettled_origins(), *owing_origins()})
    return sum(settle_chain(origin_id=origin_id, now=now) for origin_id in found)


def unsettled_origins() -> list[UUID]:
    """Ended chains whose usage differs from what is booked, in id order.

    Not asked by the customer's ingest sequence, which its later chains advance as well, but by the
    usage itself; so a late price or a waiver is seen too. A quarter that a credit cuts is always
    looked at: its usage can move over the cut without changing its sum.
    """
    ended = _ended_quarters().values_list(
        "origin", "usage_period", "booked_drawn", "booked_overage", "booked_usage"
    )
    rows = list(ended)
    live = totals.period_amounts(period_ids=[period for _, period, *_ in rows])
    return sorted(
        {
            origin
            for origin, period, drawn, overage, slices in rows
            if live[period] != drawn + overage or len(slices) > 1
        }
    )


def owing_origins() -> list[UUID]:
    """Ended chains in which somebody still owes a cent or more, in id order.

    We do, where no live invoice was there to give it back on: a voided invoice that is issued
    again bills it again. The customer does, where late usage had been booked in a period that was
    taken away before it could close: there it was to be billed.
    """
    whole_cent = Decimal("0.01")
    kept = (
        _ended_quarters()
        .annotate(returned=Sum("grants__returned"))
        .filter(returned__gte=F("refunded_cents") * whole_cent + F("refund_residue") + whole_cent)
    )
    sums = (
        _ended_quarters()
        .order_by()
        .values("origin")
        .annotate(
            billed=Sum(F("overage_billed_cents") + F("late_billed_cents")),
            exact=Sum(F("booked_overage") + F("overage_given_back")),
        )
        .exclude(exact=F("billed") * whole_cent)
    )
    differing = (
        row["origin"]
        for row in sums
        if not 0 <= to_cents(row["exact"]) - row["billed"] < stripe_minimum_cents()
    )
    return sorted({*kept.values_list("origin", flat=True), *differing})


def _ended_quarters() -> QuerySet[Quarter]:
    open_quarters = Quarter.objects.filter(origin=OuterRef("origin")).exclude(
        state=QuarterState.POSTED
    )
    return Quarter.objects.filter(~Exists(open_quarters))


@retried
def settle_chain(*, origin_id: UUID, now: datetime) -> bool:
    """Settle one ended chain, in one database transaction: whether there was a difference."""
    with transaction.atomic():
        state = load_chains(origin_ids=[origin_id], lock=True)[origin_id]
        if not state.quarters or state.open_quarter is not None:
            return False
        state.origin.book_runs += 1
        last = state.quarters[-1]
        booking = Booking(now)
        usage = booked_view(state)
        # Before anything else: what was rounded off takes part in the difference again.
        unbilled, kept = rounded_off(state, last)
        run = f"/{state.origin.book_runs}"
        booking.entries += residue_entry(
            state,
            last,
            unbilled=-unbilled,
            kept=-kept,
            never_billed={},
            now=now,
            what=f"{run}/reversed",
        )
        differs = book_differences(state, booking, usage, last)
        figures = run_chain(quarter_inputs(state, usage))
        never = never_billed(state, state.commits)
        refunded, entries = refund_kept(state, last, figures[-1], never, now)
        booking.entries += entries
        settled, left, entries = _settle_overage(state, last, figures, booking)
        if not (differs or refunded or settled):
            return False
        booking.entries += entries
        booking.entries += residue_entry(
            state,
            last,
            unbilled=left,
            kept=last.refund_residue,
            never_billed={},
            now=now,
            what=f"{run}/rounded",
        )
        state.origin.booked_seq = state.ingest_seq
        booking.origins[state.origin.pk] = state.origin
        booking.touch(last)
        # With the refunds of just now, as the books will have them.
        figures = run_chain(quarter_inputs(state, usage))
        booking.project(project_grants(state, figures, now))
        write_booking(booking)
    return True


def _settle_overage(
    state: ChainState, last: Quarter, figures: Sequence[QuarterFigures], booking: Booking
) -> tuple[int, Decimal, list[Entry]]:
    """Bill the overage that came late, or give back what was billed of overage that fell.

    Returns the cents on their way, what is left for rounding, and the entries. What only void
    invoices have billed can be given back to nobody: it is not for rounding either.
    """
    billed = sum(q.overage_billed_cents + q.late_billed_cents for q in state.quarters)
    exact = unbilled_overage(state.quarters) + from_cents(billed)
    difference = to_cents(exact) - billed
    earlier = _earlier(state.quarters)
    entries: list[Entry] = []
    lines: tuple[PlannedLine, ...] = ()
    settled = stuck = 0
    if difference > 0:
        overage = sum((item.overage for item in figures), ZERO)
        lines = plan_adjustment(
            earlier=earlier, overage=overage, minimum_cents=stripe_minimum_cents()
        )
        if lines:
            _draft_adjustment(state, last, lines, booking.now)
            count_cents(state, lines)
            settled = difference
    elif difference < 0:
        settled, entries = credit_overbilled(state, last, -difference, booking.now)
        stuck = -difference - settled
    if lines or difference < 0:
        remember_late(state, earlier)
    for quarter in state.quarters:
        booking.touch(quarter)
    return settled, unbilled_overage(state.quarters) + from_cents(stuck), entries


def _earlier(quarters: Sequence[Quarter]) -> tuple[EarlierQuarter, ...]:
    late = late_groups(quarters)
    return tuple(
        EarlierQuarter(
            position=quarter.position,
            closed_overage=quarter.closed_overage,
            given_back=quarter.overage_given_back,
            overage_billed_cents=quarter.overage_billed_cents,
            late_billed_cents=quarter.late_billed_cents,
            late_groups=late.get(quarter.position, ()),
        )
        for quarter in quarters
    )


def _draft_adjustment(
    state: ChainState, last: Quarter, lines: Sequence[PlannedLine], now: datetime
) -> Invoice:
    commit = state.commit_of(last)
    # The chain is locked: nobody else counts at the same time.
    earlier = Invoice.objects.filter(
        commit_id=commit.pk, occasion=Occasion.ADJUSTMENT, revision=1
    ).count()
    ref = str(earlier + 1)
    invoice = invoices.draft_invoice(
        invoices.InvoiceDraft(
            id=invoice_id(commit.pk, Occasion.ADJUSTMENT, ref),
            customer_id=commit.customer_id,
            commit_id=commit.pk,
            occasion=Occasion.ADJUSTMENT,
            occasion_ref=ref,
            revision=1,
            lines=tuple(line_drafts(state, lines)),
        ),
        now=now,
    )
    audit.record(
        at=now,
        actor_name="rule",
        action="adjust",
        object_type="commit",
        object_ref=str(commit.pk),
        customer_key=commit.customer.key,
        details={"total_cents": invoice.total_cents, "occasion_ref": ref},
    )
    return invoice
