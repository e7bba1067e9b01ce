"""Money that goes back at the end, by credit notes, and what is too little for a cent.

Inside the caller's database transaction, under the chain's locks; the caller posts the entries.
"""

from collections.abc import Container, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from billing.domain.journal import (
    AccountCode,
    Entry,
    EntryCode,
    Posting,
    Scope,
    merged,
    postings_of,
    residue_moves,
)
from billing.domain.money import ZERO, from_cents
from billing.models import CreditNoteKind
from billing.services import credit_notes, ledger
from commits.domain.chain import GrantKind, QuarterFigures
from commits.domain.close import ClosePlan, refundable_cents
from commits.models import CommitState, Quarter
from commits.services.chains import ChainState

BILLED = (GrantKind.INSTALMENT, GrantKind.TRUE_UP)


def settle_commit(
    state: ChainState, quarter: Quarter, plan: ClosePlan, now: datetime
) -> list[Entry]:
    """What the last close of a commit gives back, and what it leaves to rounding.

    Where a successor follows, money rolls on and cents cumulate: then rounding takes only what
    this commit has billed to nobody.
    """
    ended = {pk for pk, commit in state.commits.items() if commit.state == CommitState.ENDED}
    own = {} if plan.lines else never_billed(state, {quarter.commit_id})
    entries: list[Entry] = []
    if plan.ends:
        never = never_billed(state, ended) | own
        entries += refund_kept(state, quarter, plan.figures, never, now)[1]
    return [
        *entries,
        *residue_entry(
            state,
            quarter,
            unbilled=plan.residue,
            kept=quarter.refund_residue,
            never_billed=own,
            now=now,
        ),
    ]


def refund_kept(
    state: ChainState,
    quarter: Quarter,
    figures: QuarterFigures,
    never_billed: Mapping[int, Decimal],
    now: datetime,
) -> tuple[int, list[Entry]]:
    """Refund what the chain's last quarter keeps, cut down to the cent, and note the rest.

    Over the chain's invoices, most recent first: overage given back never more than each billed of
    usage, the rest never more than it billed in advance. What is left over is a part of a cent, or
    was never billed (see `never_billed`): that is for rounding. What only void
    invoices have billed stays where it is. Returns the cents that went back.
    """
    cents = refundable_cents(figures.kept)
    given_back = min(cents, refundable_cents(figures.kept_given_back))
    source = credit_notes.Source(quarter.commit_id, quarter.index, AccountCode.DEFERRED_REVENUE)
    issued, entries = 0, []
    for kind, part in (
        (CreditNoteKind.OVERBILLED_USAGE, given_back),
        (CreditNoteKind.UNUSED_INSTALMENT, cents - given_back),
    ):
        notes, booked = credit_notes.make_by_rule(
            commit_ids=state.commits,
            kind=kind,
            cents=part,
            source=source,
            reason=f"Unused at the end of the commit, with Q{quarter.index}",
            name=f"refund/{kind}/{quarter.index}/{quarter.refunded_cents}",
            now=now,
        )
        issued += sum(note.total_cents for note in notes)
        entries += booked
    part_of_a_cent = figures.kept - from_cents(cents)
    quarter.refund_residue = part_of_a_cent + min(
        from_cents(cents - issued), sum(never_billed.values(), ZERO)
    )
    quarter.refunded_cents += issued
    return issued, entries


def credit_overbilled(
    state: ChainState, quarter: Quarter, cents: int, now: datetime
) -> tuple[int, list[Entry]]:
    """Give back overage that was invoiced and that the chain has taken back since.

    Its revenue is lowered by the entry of the late usage; the note clears the receivable that this
    left negative. Returns the cents that went back.
    """
    source = credit_notes.Source(quarter.commit_id, quarter.index, AccountCode.UNBILLED_RECEIVABLE)
    notes, entries = credit_notes.make_by_rule(
        commit_ids=state.commits,
        kind=CreditNoteKind.OVERBILLED_USAGE,
        cents=cents,
        source=source,
        reason="Usage that was billed and corrected after the end of the commit",
        name=f"overbilled/{state.origin.pk}/{state.origin.book_runs}",
        now=now,
    )
    issued = sum(note.total_cents for note in notes)
    quarter.overage_given_back += from_cents(issued)
    return issued, entries


def residue_entry(
    state: ChainState,
    quarter: Quarter,
    *,
    unbilled: Decimal,
    kept: Decimal,
    never_billed: Mapping[int, Decimal],
    now: datetime,
    what: str = "",
) -> list[Entry]:
    """Rounding takes what is left of a commit that ended; negated, it gives it back.

    `never_billed` are instalments and true-ups, by position, that came to less than Stripe's
    minimum to the very end.
    """
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    postings = _residue_postings(state, scope, quarter, unbilled, kept, never_billed)
    if not postings:
        return []
    return [
        Entry(
            key=f"{EntryCode.RESIDUE}/{commit.pk}/{quarter.index}{what}",
            code=EntryCode.RESIDUE,
            scope=scope,
            accounting_date=ledger.first_open_date(not_before=now.astimezone(UTC).date()),
            postings=postings,
            quarter_index=quarter.index,
            description="what rounding left when the commit ended",
            evidence={"quarter": quarter.index},
        )
    ]


def _residue_postings(
    state: ChainState,
    scope: Scope,
    quarter: Quarter,
    unbilled: Decimal,
    kept: Decimal,
    never_billed: Mapping[int, Decimal],
) -> tuple[Posting, ...]:
    """One posting for each account: what was never billed stands in its own quarter's."""
    total = sum(never_billed.values(), ZERO)
    moves = [*postings_of(scope, *residue_moves(unbilled + total, quarter.index, kept))]
    moves += postings_of(scope, (AccountCode.UNBILLED_RECEIVABLE, None, total))
    for position, amount in never_billed.items():
        owner = state.quarters[position - 1]
        in_advance = Scope(scope.customer_id, owner.commit_id)
        moves += postings_of(in_advance, (AccountCode.DEFERRED_REVENUE, owner.index, -amount))
    return merged(moves)


def never_billed(state: ChainState, commit_ids: Container[UUID]) -> dict[int, Decimal]:
    """Instalments and true-ups of these commits that no invoice bills, in dollars by position.

    At the end of a commit they came to less than Stripe's minimum, and rounding takes them.
    """
    found: dict[int, Decimal] = {}
    for quarter in state.quarters:
        grants = state.issued[quarter.position] if quarter.commit_id in commit_ids else ()
        waiting = [g.amount for g in grants if g.kind in BILLED and not g.invoice_id]
        if any(waiting):
            found[quarter.position] = sum(waiting, ZERO)
    return found


def rounded_off(state: ChainState, quarter: Quarter) -> tuple[Decimal, Decimal]:
    """What rounding holds of an ended chain: unbilled overage, and money kept for nobody."""
    scope = Scope(state.origin.customer_id, quarter.commit_id)
    held = ledger.balance(scope.account(AccountCode.ROUNDING))
    held -= sum(never_billed(state, {quarter.commit_id}).values(), ZERO)
    kept: Decimal = quarter.refund_residue or ZERO
    return held + kept, kept
