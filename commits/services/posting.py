"""Posting approved closes: journal entries, the next quarter's money, the draft invoice.

Works out, under the chain's locks, what a close writes, and collects it; a run of closes writes
thousands of them in a handful of statements. Only the rare chain that opens or loses a quarter
here is written at once and has to be read again.
"""

from uuid import UUID

from billing.domain.journal import (
    Entry,
    EntryCode,
    Scope,
    breakage_moves,
    postings_of,
    rollover_moves,
)
from billing.domain.money import ZERO
from billing.models import AuditEvent, Occasion
from billing.services import audit
from billing.services.invoices import InvoiceDraft
from commits.domain.chain import GrantKind
from commits.domain.close import CloseInputs, ClosePlan
from commits.models import Close, CloseState, CommitState, Quarter, QuarterState
from commits.services.billed import count_cents, remember_late
from commits.services.bookings import Booking, record_booked, usage_as_json, write_booking
from commits.services.books import book_and_write, book_chains
from commits.services.chains import ChainState, load_chains
from commits.services.close_inputs import groups_as_json
from commits.services.invoicing import line_drafts
from commits.services.quarters import drop_quarter, open_quarter
from commits.services.refunds import settle_commit
from commits.services.signing import invoice_id


class Posting:
    """A set of approved closes being posted, and what it will write."""

    def __init__(self, booking: Booking) -> None:
        self.booking = booking
        self._posted: list[ChainState] = []
        self._to_reload: list[UUID] = []

    def post(self, state: ChainState, close: Close, inputs: CloseInputs, plan: ClosePlan) -> None:
        """Post the approved close of a chain's open quarter, of these inputs."""
        booking = self.booking
        quarter = state.quarters[inputs.quarters[-1].index - 1]
        follower = None if plan.ends else state.quarter_at(quarter.position + 1)
        ends = plan.ends or (follower is not None and follower.commit_id != quarter.commit_id)
        opens = not ends and follower is None
        if follower is None and opens:
            follower = open_quarter(
                commit=state.commit_of(quarter), index=quarter.index + 1, now=booking.now
            )
        booking.entries += _close_entries(state, quarter, follower, plan, booking)
        if ends:
            # Before the invoice of this close is there: no refund is of what it bills.
            booking.entries += settle_commit(state, quarter, plan, booking.now)
        _draft_close_invoice(state, quarter, plan, booking)
        _remember_billed(state, quarter, inputs, plan, booking)
        record_booked(quarter, plan.figures)
        quarter.booked_usage = usage_as_json(inputs.quarters[-1].usage)
        quarter.state, quarter.posted_at = QuarterState.POSTED, booking.now
        booking.touch(quarter)
        rolled_out = plan.figures.rolled_out
        if follower is not None and follower.booked_rolled_in != rolled_out:
            follower.booked_rolled_in = rolled_out
            booking.receive(follower)
        if ends:
            _end(state, quarter, booking)
        close.state, close.posted_at = CloseState.POSTED, booking.now
        booking.settle(close)
        booking.traces.append(_trace(state, quarter, close, plan, booking))
        if ends or opens:
            self._to_reload.append(state.origin.pk)
        else:
            self._posted.append(state)

    def write(self) -> None:
        """Write it all; then money that has rolled over covers what the next quarters owe."""
        book_chains(self._posted, self.booking)
        write_booking(self.booking)
        if self._to_reload:
            after = load_chains(origin_ids=self._to_reload, lock=True)
            book_and_write(after.values(), self.booking.now)


def _close_entries(
    state: ChainState,
    quarter: Quarter,
    follower: Quarter | None,
    plan: ClosePlan,
    booking: Booking,
) -> list[Entry]:
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    figures = plan.figures
    kinds = []
    if follower is not None and figures.rolled_out:
        target = Scope(commit.customer_id, follower.commit_id)
        moves = rollover_moves(quarter.index, follower.index, figures.rolled_out)
        postings = (*postings_of(scope, moves[0]), *postings_of(target, moves[1]))
        kinds.append((EntryCode.ROLLOVER, postings, f"rollover to Q{follower.index}"))
    if figures.breakage_paid:
        postings = postings_of(scope, *breakage_moves(quarter.index, figures.breakage_paid, ZERO))
        kinds.append((EntryCode.BREAKAGE, postings, "unused money expired"))
    if figures.breakage_credit:
        postings = postings_of(scope, *breakage_moves(quarter.index, ZERO, figures.breakage_credit))
        kinds.append((EntryCode.CREDIT_EXPIRED, postings, "unused credit expired"))
    return [
        Entry(
            key=f"{code}/{commit.pk}/{quarter.index}",
            code=code,
            scope=scope,
            accounting_date=booking.open_date(booking.now),
            postings=postings,
            quarter_index=quarter.index,
            description=words,
            evidence={"quarter": quarter.index},
        )
        for code, postings, words in kinds
    ]


def _draft_close_invoice(
    state: ChainState, quarter: Quarter, plan: ClosePlan, booking: Booking
) -> None:
    if not plan.lines:
        return
    commit = state.commit_of(quarter)
    draft = InvoiceDraft(
        id=invoice_id(commit.pk, Occasion.CLOSE, str(quarter.index)),
        customer_id=commit.customer_id,
        commit_id=commit.pk,
        occasion=Occasion.CLOSE,
        occasion_ref=str(quarter.index),
        revision=1,
        lines=tuple(line_drafts(state, plan.lines)),
    )
    booking.invoices.append(draft)
    quarter.invoice_id = draft.id
    billed = {line.ref for line in plan.lines if line.ref}
    for issued in state.issued.values():
        for grant in issued:
            if grant.ref in billed and grant.kind != GrantKind.ROLLOVER:
                grant.invoice_id = draft.id
                booking.project([grant])


def _remember_billed(
    state: ChainState, quarter: Quarter, inputs: CloseInputs, plan: ClosePlan, booking: Booking
) -> None:
    """Count the cents billed per quarter, and remember which usage the close has seen."""
    changed = count_cents(state, plan.lines)
    if plan.lines or not plan.carried_cents:
        changed += remember_late(state, inputs.earlier)
    for billed in changed:
        booking.touch(billed)
    quarter.billed_groups = groups_as_json(inputs.groups)
    quarter.closed_overage = plan.figures.overage


def _end(state: ChainState, quarter: Quarter, booking: Booking) -> None:
    """The commit ends with this quarter: quarters of it that were opened ahead go away."""
    commit = state.commit_of(quarter)
    commit.state, commit.ended_at = CommitState.ENDED, quarter.ends_at
    commit.save(update_fields=["state", "ended_at"])
    for ahead in reversed(state.quarters[quarter.position :]):
        if ahead.commit_id == commit.pk:
            booking.quarters.pop(ahead.pk, None)
            booking.received.pop(ahead.pk, None)
            drop_quarter(state=state, quarter=ahead, now=booking.now)


def _trace(
    state: ChainState, quarter: Quarter, close: Close, plan: ClosePlan, booking: Booking
) -> AuditEvent:
    commit = state.commit_of(quarter)
    return audit.trace(
        at=booking.now,
        actor_name=close.approved_by,
        action="post",
        object_type="close",
        object_ref=f"{commit.pk}/{quarter.index}",
        customer_key=state.origin.customer.key,
        details={"digest": close.digest, "total_cents": plan.total_cents},
    )
