"""Explains dollars: from an invoice line to postings, to rated quantities, to the events.

Reads only. Quantities and rates are derived anew (metering/services/recount.py), never taken from
a rollup, so an explanation that agrees is also a proof of the entry. Grants are explained beside,
in `explain_grants`.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from billing.domain.errors import NotFound
from billing.models import InvoiceLine, JournalEntry, Posting, WriteOff
from commits.models import Grant, Quarter
from commits.services import usage_entries
from commits.services.explain_grants import GrantExplanation, explain_grant
from commits.services.explain_lines import BilledUsage, billed_usage
from commits.services.usage_entries import DROPPED, LATE, key_parts
from metering.services.recount import Cutoff, Recount, UsageScope, recount

__all__ = ["explain_grant", "explain_invoice_line", "explain_posting"]

_WORDS = {
    "invoice.issued": "the invoice became a claim when Stripe finalized it",
    "invoice.voided": "the exact reverse of the issue of its invoice",
    "invoice.uncollectible": "the claim was given up: what was used is a bad debt",
    "invoice.written_off": "a void invoice was given up: what was used is a bad debt, what was "
    "not can be drawn no more",
    "grant.covers_overage": "money that arrived covers overage that had accrued",
    "overage.given_back": "overage that was invoiced and then taken back by the chain is balance",
    "close.rollover": "unused money moved to the next quarter at the close",
    "close.breakage": "unused money expired at the close",
    "close.credit_expired": "an unused credit expired at the close",
    "credit.granted": "a credit that two people agreed on",
    "commit.residue": "what rounding to cents left when the commit ended",
}


@dataclass(frozen=True, slots=True)
class EntrySummary:
    """The entry that a posting belongs to."""

    id: int
    key: str
    code: str
    description: str
    accounting_date: date
    usage_date: date | None
    booked_at: datetime
    commit: UUID | None
    quarter: int | None
    origin_quarter: int | None
    invoice: UUID | None


@dataclass(frozen=True, slots=True)
class UsageExplanation:
    """The usage that an entry books. `booked` = drawn + overage; `recomputed` is what the events
    between the two cutoffs come to; both are exact dollars."""

    after: Cutoff
    through: Cutoff
    drawn: Decimal
    overage: Decimal
    recounted: Recount

    @property
    def booked(self) -> Decimal:
        return self.drawn + self.overage

    @property
    def recomputed(self) -> Decimal:
        return self.recounted.amount

    @property
    def agrees(self) -> bool:
        return self.booked == self.recomputed


@dataclass(frozen=True, slots=True)
class PostingExplanation:
    """One posting, its entry, and for usage the events behind it."""

    id: int
    customer_id: int
    account: str
    account_quarter: int | None
    amount: Decimal
    entry: EntrySummary
    why: str
    usage: UsageExplanation | None = None
    grant: int | None = None


@dataclass(frozen=True, slots=True)
class LineExplanation:
    """One invoice line: the grant that it bills, or the usage, with the entries that booked it."""

    id: int
    customer_id: int
    invoice: UUID
    kind: str
    quarter: int
    description: str
    amount_cents: int
    grant: GrantExplanation | None = None
    usage: BilledUsage | None = None


def explain_posting(*, id: int, limit: int = 100) -> PostingExplanation:
    """Why a posting stands in the books; `limit` events at most are named. Raises NotFound."""
    posting = Posting.objects.select_related("entry", "account").filter(pk=id).first()
    if posting is None:
        raise NotFound("unknown_posting", f"no posting {id}")
    entry = posting.entry
    parts = key_parts(entry.key)
    why = _WORDS.get(entry.code, "")
    usage = None
    if parts is not None and parts.books_usage:
        quarter = Quarter.objects.filter(origin=parts.origin, position=parts.position).first()
        usage = _usage(quarter, entry, limit) if quarter is not None else None
        what = f"usage of {entry.usage_date}" if entry.usage_date else "usage that came late"
        why = f"{what}, at committed rates" if usage else "its quarter went away, and this with it"
    elif parts is not None and parts.run == DROPPED:
        why = "the quarter went away: what had accrued in it is reversed"
    if entry.code == "invoice.written_off":
        why = f"{why}; {_agreement(entry)}"
    return PostingExplanation(
        id=posting.pk,
        customer_id=entry.customer_id,
        account=posting.account.code,
        account_quarter=posting.account.quarter_index,
        amount=posting.amount,
        entry=_summary(entry),
        why=why or entry.description or entry.code,
        usage=usage,
        grant=_grant_of(entry),
    )


def _summary(entry: JournalEntry) -> EntrySummary:
    return EntrySummary(
        entry.pk, entry.key, entry.code, entry.description, entry.accounting_date,
        entry.usage_date, entry.booked_at, entry.commit_id, entry.quarter_index,
        entry.origin_quarter_index, entry.invoice_id,
    )  # fmt: skip


def _usage(quarter: Quarter, entry: JournalEntry, limit: int) -> UsageExplanation | None:
    entries = usage_entries.usage_entries(quarter=quarter)
    mine = next((one for one in entries if one.id == entry.pk), None)
    if mine is None:
        return None
    after = usage_entries.cutoff_before(entries, mine)
    found = recount(
        scope=UsageScope(quarter.usage_period_id, None if mine.what == LATE else mine.usage_date),
        after=after,
        through=mine.through,
        limit=limit,
    )
    return UsageExplanation(after, mine.through, mine.drawn, mine.overage, found)


def _agreement(entry: JournalEntry) -> str:
    """Who agreed on a write-off, and why."""
    asked = WriteOff.objects.get(pk=entry.evidence["write_off"])
    return f"asked for by {asked.requested_by}, approved by {asked.decided_by}: {asked.reason}"


def _grant_of(entry: JournalEntry) -> int | None:
    """The grant that an entry made: a credit, or overage given back."""
    ref = str(entry.evidence.get("grant", ""))
    if entry.code == "credit.granted":
        ref = f"credit:{entry.key.rpartition('/')[2].replace('-', '')}"
    if not ref:
        return None
    found = Grant.objects.filter(ref=ref, quarter__commit=entry.commit_id).order_by("pk").first()
    return found.pk if found else None


def explain_invoice_line(*, id: int, limit: int = 100) -> LineExplanation:
    """What an invoice line bills; `limit` events at most are named. Raises NotFound."""
    line = InvoiceLine.objects.select_related("invoice").filter(pk=id).first()
    if line is None:
        raise NotFound("unknown_invoice_line", f"no invoice line {id}")
    grant = usage = None
    if line.grant_ref:
        billed = Grant.objects.filter(
            ref=line.grant_ref, quarter__index=line.quarter_index,
            quarter__commit__customer=line.invoice.customer_id,
        ).exclude(kind="rollover")  # fmt: skip
        chain = billed.filter(invoice__commit_id=line.invoice.commit_id).first()
        grant = explain_grant(id=chain.pk) if chain else None
    else:
        usage = billed_usage(line=line, limit=limit)
    return LineExplanation(
        id=line.pk,
        customer_id=line.invoice.customer_id,
        invoice=line.invoice_id,
        kind=line.kind,
        quarter=line.quarter_index,
        description=line.description,
        amount_cents=line.amount_cents,
        grant=grant,
        usage=usage,
    )
