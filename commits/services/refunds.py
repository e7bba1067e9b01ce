"""Money that goes back at the end, by credit notes, and what is too little for a cent.

Inside the caller's database transaction, under the chain's locks; the caller posts the entries.
"""

from datetime import UTC, datetime
from decimal import Decimal

from billing.domain.journal import (
    AccountCode,
    Entry,
    EntryCode,
    Scope,
    postings_of,
    residue_moves,
)
from billing.domain.money import ZERO, from_cents
from billing.models import CreditNoteKind
from billing.services import credit_notes, ledger
from commits.domain.close import refundable_cents
from commits.models import Quarter
from commits.services.chains import ChainState


def refund_kept(
    state: ChainState, quarter: Quarter, kept: Decimal, now: datetime
) -> tuple[int, list[Entry]]:
    """Refund what the chain's last quarter keeps, cut down to the cent, and note the rest.

    Over the chain's invoices, most recent first, never more than each billed in advance; money
    that no live invoice has billed stays where it is. Returns the cents that went back.
    """
    cents = refundable_cents(kept)
    quarter.refund_residue = kept - from_cents(cents)
    notes, entries = credit_notes.make_by_rule(
        commit_ids=state.commits,
        kind=CreditNoteKind.UNUSED_INSTALMENT,
        cents=cents,
        source=credit_notes.Source(quarter.commit_id, quarter.index, AccountCode.DEFERRED_REVENUE),
        reason=f"Unused at the end of the commit, with Q{quarter.index}",
        name=f"refund/{quarter.index}/{quarter.refunded_cents}",
        now=now,
    )
    issued = sum(note.total_cents for note in notes)
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
    now: datetime,
    what: str = "",
) -> list[Entry]:
    """Rounding takes what is left of a commit that ended; negated, it gives it back."""
    commit = state.commit_of(quarter)
    scope = Scope(commit.customer_id, commit.pk)
    postings = postings_of(scope, *residue_moves(unbilled, quarter.index, kept))
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


def rounded_off(state: ChainState, quarter: Quarter) -> tuple[Decimal, Decimal]:
    """What rounding holds of an ended chain: unbilled overage, and money below a cent."""
    scope = Scope(state.origin.customer_id, quarter.commit_id)
    held = ledger.balance(scope.account(AccountCode.ROUNDING))
    kept: Decimal = quarter.refund_residue or ZERO
    return held + kept, kept
