"""Posting an approved close: journal entries, the next quarter's money, the draft invoice.

Everything here happens inside the caller's database transaction, under the chain's locks.
"""

from datetime import UTC, datetime

from billing.domain.journal import (
    Entry,
    EntryCode,
    Scope,
    breakage_moves,
    postings_of,
    rollover_moves,
)
from billing.domain.money import ZERO
from billing.models import Occasion
from billing.services import audit, invoices, ledger
from commits.domain.chain import run_chain
from commits.domain.close import CloseInputs, ClosePlan, plan_close
from commits.models import Close, CloseState, CommitState, Grant, Quarter, QuarterState
from commits.services.billed import count_cents, remember_late, save_billed
from commits.services.bookings import QUARTER_FIELDS, booked_view, record_booked, usage_as_json
from commits.services.chains import ChainState, load_chains, quarter_inputs
from commits.services.close_inputs import groups_as_json
from commits.services.grants import project_grants, save_grants
from commits.services.invoicing import line_drafts
from commits.services.quarters import drop_quarter, open_quarter
from commits.services.refunds import settle_commit
from commits.services.signing import invoice_id


def post_chain(state: ChainState, close: Close, inputs: CloseInputs, now: datetime) -> ChainState:
    """Post one approved close. Returns the chain as it stands afterwards, reloaded."""
    quarter = state.quarters[inputs.quarters[-1].index - 1]
    plan = plan_close(inputs)
    follower = _follower(state, quarter, plan, now)
    entries = _close_entries(state, quarter, follower, plan, now)
    # Before the invoice of this close is there: no refund is of what it bills.
    ends = plan.ends or (follower is not None and follower.commit_id != quarter.commit_id)
    if ends:
        entries += settle_commit(state, quarter, plan, now)
    _draft_close_invoice(state, quarter, plan, now)
    _remember_billed(state, quarter, inputs, plan)
    record_booked(quarter, plan.figures)
    quarter.booked_usage = usage_as_json(inputs.quarters[-1].usage)
    quarter.state, quarter.posted_at = QuarterState.POSTED, now
    quarter.save()
    if follower is not None:
        follower.booked_rolled_in = plan.figures.rolled_out
        follower.save(update_fields=QUARTER_FIELDS)
    if ends:
        _end(state, quarter, now)
    ledger.post_entries(entries=entries, now=now)
    close.state, close.posted_at = CloseState.POSTED, now
    close.save(update_fields=["state", "posted_at"])
    commit = state.commit_of(quarter)
    audit.record(
        at=now,
        actor_name=close.approved_by,
        action="post",
        object_type="close",
        object_ref=f"{commit.pk}/{quarter.index}",
        customer_key=commit.customer.key,
        details={"digest": close.digest, "total_cents": plan.total_cents},
    )
    after = load_chains(origin_ids=[state.origin.pk], lock=True)[state.origin.pk]
    _save_grants(after, now)
    return after


def _save_grants(state: ChainState, now: datetime) -> None:
    """Write what the close did to each grant, and the rollover grants of the next quarter."""
    figures = run_chain(quarter_inputs(state, booked_view(state)))
    save_grants(project_grants(state, figures, now))


def _follower(
    state: ChainState, quarter: Quarter, plan: ClosePlan, now: datetime
) -> Quarter | None:
    """The quarter that receives the rollover; a tail's next quarter is opened where it is not."""
    if plan.ends:
        return None
    follower = state.quarter_at(quarter.position + 1)
    if follower is None:
        commit = state.commit_of(quarter)
        follower = open_quarter(commit=commit, index=quarter.index + 1, now=now)
    return follower


def _close_entries(
    state: ChainState,
    quarter: Quarter,
    follower: Quarter | None,
    plan: ClosePlan,
    now: datetime,
) -> list[Entry]:
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    figures = plan.figures
    on = ledger.first_open_date(not_before=now.astimezone(UTC).date())
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
            accounting_date=on,
            postings=postings,
            quarter_index=quarter.index,
            description=words,
            evidence={"quarter": quarter.index},
        )
        for code, postings, words in kinds
    ]


def _draft_close_invoice(
    state: ChainState, quarter: Quarter, plan: ClosePlan, now: datetime
) -> None:
    if not plan.lines:
        return
    commit = state.commit_of(quarter)
    invoice = invoices.draft_invoice(
        id=invoice_id(commit.pk, Occasion.CLOSE, str(quarter.index)),
        customer=commit.customer,
        commit_id=commit.pk,
        occasion=Occasion.CLOSE,
        occasion_ref=str(quarter.index),
        revision=1,
        lines=line_drafts(state, plan.lines),
        now=now,
    )
    quarter.invoice = invoice
    billed = [line.ref for line in plan.lines if line.ref]
    Grant.objects.filter(quarter__in=state.quarters, ref__in=billed).exclude(
        kind="rollover"
    ).update(invoice=invoice)


def _remember_billed(
    state: ChainState, quarter: Quarter, inputs: CloseInputs, plan: ClosePlan
) -> None:
    """Count the cents billed per quarter, and remember which usage the close has seen."""
    count_cents(state, plan.lines)
    if plan.lines or not plan.carried_cents:
        remember_late(state, inputs.earlier)
    quarter.billed_groups = groups_as_json(inputs.groups)
    quarter.closed_overage = plan.figures.overage
    save_billed(state.quarters[: quarter.position])


def _end(state: ChainState, quarter: Quarter, now: datetime) -> None:
    """The commit ends with this quarter: quarters of it that were opened ahead go away."""
    commit = state.commit_of(quarter)
    commit.state, commit.ended_at = CommitState.ENDED, quarter.ends_at
    commit.save(update_fields=["state", "ended_at"])
    for ahead in reversed(state.quarters[quarter.position :]):
        if ahead.commit_id == commit.pk:
            drop_quarter(state=state, quarter=ahead, now=now)
