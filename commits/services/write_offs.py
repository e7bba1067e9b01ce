"""Approving write-offs: what nobody had used of a voided invoice's money can be drawn no more.

Billing keeps the requests and books them. Here the unused money is found, wherever it has rolled
to since, and leaves the quarters that hold it, as refunded money does.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from billing.domain.errors import Conflict
from billing.domain.invoice_entries import IN_ADVANCE, Withdrawn
from billing.domain.money import CENT, ZERO, cut
from billing.models import Invoice, WriteOff
from billing.services import ledger, two_people, write_offs
from billing.services.retrying import retried
from commits.domain.chain import QuarterFigures, run_chain
from commits.models import Commit, Quarter, QuarterState
from commits.services.after_the_end import unsettled_origins
from commits.services.bookings import booked_view
from commits.services.books import book_and_write
from commits.services.chains import ChainState, live_figures, load_chains, quarter_inputs


@retried
def approve_write_off(
    *,
    write_off_id: UUID,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> WriteOff:
    """Give up what a voided invoice billed. Again answers with the approved request.

    What was used of it becomes a bad debt, and what was not can be drawn no more. Raises
    NotPermitted `maker_is_checker`; NotFound; Conflict `not_open`, `invoice_not_void`,
    `invoice_reissued`, `close_is_approved` while the quarter that holds its money stands still,
    `usage_not_settled` while usage of an ended commit waits for the next daily job.
    """
    with transaction.atomic(durable=True):
        asked = two_people.find(WriteOff, write_off_id, related=("invoice",))
        commit = Commit.objects.filter(pk=asked.invoice.commit_id).first()
        state = None
        if commit is not None:
            state = load_chains(origin_ids=[commit.origin_id], lock=True)[commit.origin_id]
            book_and_write([state], now)
        asked = write_offs.locked_write_off(write_off_id=write_off_id)
        if not two_people.may_approve(asked, actor_name=actor_name):
            return asked
        withdrawn: list[Withdrawn] = []
        if state is not None:
            _refuse_unsettled(state)
            figures = run_chain(quarter_inputs(state, booked_view(state)))
            withdrawn = unused_money(state, asked.invoice, figures)
            _withdraw(state, withdrawn)
        entry = write_offs.approve(
            asked, withdrawn=withdrawn, actor=actor, actor_name=actor_name, now=now
        )
        ledger.post_entries(entries=[entry] if entry else [], now=now)
        if withdrawn and commit is not None:
            after = load_chains(origin_ids=[commit.origin_id], lock=True)[commit.origin_id]
            book_and_write([after], now)
    return asked


def preview_write_off(*, invoice: Invoice) -> list[Withdrawn]:
    """What would be withdrawn if it were written off now, by every event accepted so far."""
    commit = Commit.objects.filter(pk=invoice.commit_id).first()
    if commit is None:
        return []
    state = load_chains(origin_ids=[commit.origin_id])[commit.origin_id]
    return unused_money(state, invoice, live_figures(state))


def unused_money(
    state: ChainState, invoice: Invoice, figures: Iterable[QuarterFigures]
) -> list[Withdrawn]:
    """What nobody has used of the money that the invoice billed in advance, by quarter, newest
    first, cut down to the cent.

    Money is told by the grant that it came from first. What earlier write-offs withdrew was taken
    from what would be drawn last, perhaps from this money; so theirs that is left counts as well.
    """
    billed = [invoice, *(one.invoice for one in _earlier(state, invoice))]
    refs = {line.grant_ref for one in billed for line in one.lines.all() if line.grant_ref}
    most = sum(line.amount_cents for line in invoice.lines.all() if line.kind in IN_ADVANCE)
    found = []
    for quarter, item in zip(reversed(state.quarters), reversed(list(figures)), strict=True):
        left = sum((g.remaining + g.kept for g in item.grants if g.grant.ref in refs), ZERO)
        cents = min(most, _whole_cents(left))
        if cents:
            found.append(Withdrawn(quarter.commit_id, quarter.index, cents))
            most -= cents
    return found


def _earlier(state: ChainState, invoice: Invoice) -> list[WriteOff]:
    done = write_offs.written_off_of(commit_ids=state.commits)
    return [one for one in done if one.invoice_id != invoice.pk]


def _whole_cents(amount: Decimal) -> int:
    return int(cut(amount, CENT).scaleb(2))


def _refuse_unsettled(state: ChainState) -> None:
    if state.open_quarter is None and state.origin.pk in unsettled_origins():
        raise Conflict("usage_not_settled", "Usage that came after the end is settled at midnight.")


def _withdraw(state: ChainState, withdrawn: Iterable[Withdrawn]) -> None:
    """Take the money out of its quarters."""
    quarters = {(quarter.commit_id, quarter.index): quarter for quarter in state.quarters}
    for item in withdrawn:
        quarter: Quarter = quarters[item.commit_id, item.quarter_index]
        if quarter.state == QuarterState.APPROVED:
            raise Conflict("close_is_approved", "Its close is approved and about to be posted.")
        quarter.refunded_cents += item.cents
        quarter.save(update_fields=["refunded_cents"])
