"""Invoices: drafting them from lines, reading them, and what their life means for the books.

Lines come as plain data from whoever settles quarters. Owns the journal entries of an invoice
(issued, paid, voided, uncollectible); the way to Stripe lies in `invoice_push`, what Stripe tells
us in `invoice_sync`, voiding and reissuing in `invoice_voiding`.
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from msgspec import structs

from billing.domain.errors import IdempotencyConflict, InvalidInput, NotFound
from billing.domain.invoice_entries import InvoiceFacts, LineAmount
from billing.domain.journal import Scope
from billing.models import Customer, Invoice, InvoiceLine, LineKind, Occasion
from billing.services import ledger, row_sets


class LineDraft(msgspec.Struct, frozen=True):
    """One line to be: whole cents; the half-open period `[period_start, period_end)` it is for.

    `quantity` (tokens, seconds, units) and `rate` (dollars per single unit) are for information.
    """

    kind: LineKind
    quarter_index: int
    description: str
    amount_cents: int
    period_start: datetime
    period_end: datetime
    model: str = ""
    mode: str = ""
    meter: str = ""
    quantity: int | None = None
    rate: Decimal | None = None
    grant_ref: str = ""


_LINE_FIELDS = LineDraft.__struct_fields__


class InvoiceDraft(msgspec.Struct, frozen=True):
    """One invoice to be: what it is for, and its lines."""

    id: UUID
    customer_id: int
    commit_id: UUID
    occasion: Occasion
    occasion_ref: str
    revision: int
    lines: tuple[LineDraft, ...]

    @property
    def key(self) -> tuple[UUID, str, str, int]:
        """What there is one invoice for."""
        return (self.commit_id, self.occasion.value, self.occasion_ref, self.revision)


def draft_invoice(draft: InvoiceDraft, *, now: datetime) -> Invoice:
    """One draft: see `draft_invoices`."""
    return draft_invoices([draft], now=now)[0]


def draft_invoices(drafts: Sequence[InvoiceDraft], *, now: datetime) -> list[Invoice]:
    """The drafts for some occasions, each made once: the same lines again answer with what is
    there. In the order asked.

    Other lines for the same (commit, occasion, revision), or a second live invoice for the
    occasion, raise IdempotencyConflict. A total is the sum of the lines, and not zero.
    """
    for draft in drafts:
        problems = _problems(draft.lines)
        if problems:
            raise InvalidInput("invalid_invoice_lines", "; ".join(problems))
    if not drafts:
        return []
    try:
        return _inserted(drafts, now)
    except IntegrityError:
        # Some are there: of an earlier run, or of another worker who has just won the race.
        found = _drafted(drafts)
    try:
        made = _inserted([draft for draft in drafts if draft.key not in found], now)
    except IntegrityError as error:
        raise IdempotencyConflict(
            "invoice_exists", "There is another invoice for that occasion."
        ) from error
    found |= {_key_of(invoice): invoice for invoice in made}
    return [found[draft.key] for draft in drafts]


def _key_of(invoice: Invoice) -> tuple[UUID, str, str, int]:
    return (invoice.commit_id, invoice.occasion, invoice.occasion_ref, invoice.revision)


def _drafted(drafts: Sequence[InvoiceDraft]) -> dict[tuple[UUID, str, str, int], Invoice]:
    """The invoices that are there for these drafts. Raises IdempotencyConflict for other lines."""
    asked = {draft.key: draft for draft in drafts}
    commits = {draft.commit_id for draft in drafts}
    occasions = {draft.occasion for draft in drafts}
    refs = {draft.occasion_ref for draft in drafts}
    found = {}
    for invoice in Invoice.objects.filter(
        commit_id__in=commits, occasion__in=occasions, occasion_ref__in=refs
    ):
        key = _key_of(invoice)
        if key not in asked:
            continue
        if _digest(line_drafts_of(invoice)) != _digest(asked[key].lines):
            raise IdempotencyConflict(
                "invoice_exists",
                f"There is another invoice for {invoice.occasion} {invoice.occasion_ref}.",
            )
        found[key] = invoice
    return found


def _inserted(drafts: Sequence[InvoiceDraft], now: datetime) -> list[Invoice]:
    # A savepoint: losing the race to another worker must not end the caller's transaction.
    with transaction.atomic():
        return _insert(drafts, now)


def _insert(drafts: Sequence[InvoiceDraft], now: datetime) -> list[Invoice]:
    made = [
        Invoice.fresh(
            id=draft.id,
            customer_id=draft.customer_id,
            commit_id=draft.commit_id,
            occasion=draft.occasion,
            occasion_ref=draft.occasion_ref,
            revision=draft.revision,
            total_cents=sum([line.amount_cents for line in draft.lines]),
            created_at=now,
        )
        for draft in drafts
    ]
    row_sets.insert_rows(made)
    lines = [line for draft in drafts for line in draft.lines]
    row_sets.insert_values(
        InvoiceLine,
        ["invoice_id", "position", *_LINE_FIELDS],
        [
            [draft.id for draft in drafts for _ in draft.lines],
            [place for draft in drafts for place in range(1, len(draft.lines) + 1)],
            *zip(*map(structs.astuple, lines), strict=True),
        ],
    )
    return made


def _problems(lines: Sequence[LineDraft]) -> list[str]:
    problems = []
    cents = [line.amount_cents for line in lines]
    if not lines:
        problems.append("no lines")
    if cents and min(cents) < 0:
        problems.append("a negative line")
    if sum(cents) == 0:
        problems.append("a total of zero")
    if any([line.period_end <= line.period_start for line in lines]):
        problems.append("a period that ends before it begins")
    return problems


def line_drafts_of(invoice: Invoice) -> list[LineDraft]:
    """The lines of an invoice as the plain data that they were drafted from."""
    return [
        LineDraft(
            kind=LineKind(line.kind),
            quarter_index=line.quarter_index,
            description=line.description,
            amount_cents=line.amount_cents,
            period_start=line.period_start,
            period_end=line.period_end,
            model=line.model,
            mode=line.mode,
            meter=line.meter,
            quantity=None if line.quantity is None else int(line.quantity),
            rate=line.rate,
            grant_ref=line.grant_ref,
        )
        for line in invoice.lines.all()
    ]


def _digest(lines: Sequence[LineDraft]) -> str:
    words = [
        [
            f"{value.normalize():f}"
            if isinstance(value, Decimal)
            else value.astimezone(UTC).isoformat()
            if isinstance(value, datetime)
            else value
            for value in structs.astuple(line)
        ]
        for line in lines
    ]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def get_invoice(*, invoice_id: UUID) -> Invoice:
    """The invoice with its customer, or NotFound `invoice_not_found`."""
    found = Invoice.objects.select_related("customer").filter(pk=invoice_id).first()
    if found is None:
        raise NotFound("invoice_not_found", f"There is no invoice {invoice_id}.")
    return found


def invoices_of(*, customer: Customer) -> QuerySet[Invoice]:
    """A customer's invoices with their lines and credit notes, newest first."""
    found = customer.invoices.prefetch_related("lines", "credit_notes")
    return found.order_by("-created_at", "-id")


def locked_invoice(*, invoice_id: UUID) -> Invoice:
    """The invoice, its row locked until the database transaction ends."""
    return Invoice.objects.select_for_update(of=("self",)).get(pk=invoice_id)


def facts_of(invoice: Invoice) -> InvoiceFacts:
    """What the domain's entry templates need to know of an invoice."""
    return InvoiceFacts(
        id=invoice.pk,
        scope=Scope(invoice.customer_id, invoice.commit_id),
        lines=tuple(
            LineAmount(LineKind(line.kind).value, line.quarter_index, line.amount_cents)
            for line in invoice.lines.all()
        ),
        tax_cents=invoice.tax_cents,
        credited_cents=credited_cents(invoice),
    )


def credited_cents(invoice: Invoice) -> int:
    """What booked credit notes have taken off what the customer owes on it."""
    found = invoice.credit_notes.filter(state__in=["approved", "issued"])
    return int(found.aggregate(cents=Sum("receivable_cents"))["cents"] or 0)


def accounting_date(*, now: datetime) -> date:
    """The UTC date of `now`, or the first date after it in an unlocked period."""
    return ledger.first_open_date(not_before=now.astimezone(UTC).date())
