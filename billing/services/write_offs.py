"""Writing off a voided invoice that is not issued again: asked for by one, approved by another.

Void says that nobody owes the invoice; its lines stay "already billed", so that what was used of
it stands as a contract asset. Either it is issued again, or the asset is given up here, for good.
Grants belong to the commits: they say what of its money nobody has used.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from billing.domain import invoice_entries
from billing.domain.errors import Conflict, InvalidInput
from billing.domain.invoice_entries import Withdrawn
from billing.domain.journal import Entry
from billing.models import Invoice, InvoiceState, RequestState, WriteOff
from billing.services import invoices, two_people

REASON_LENGTH = 300


def request_write_off(
    *,
    invoice_id: UUID,
    reason: str,
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> WriteOff:
    """Ask that a voided invoice be given up.

    Raises InvalidInput `reason_needed`; NotFound; Conflict `invoice_not_void`,
    `invoice_reissued`, `write_off_requested` where somebody has asked already.
    """
    if not 1 <= len(reason.strip()) <= REASON_LENGTH:
        raise InvalidInput("reason_needed", f"Say why, in 1 to {REASON_LENGTH} characters.")
    invoices.get_invoice(invoice_id=invoice_id)
    try:
        with transaction.atomic():
            invoice = invoices.locked_invoice(invoice_id=invoice_id)
            refuse_unless_void(invoice)
            asked = WriteOff(
                id=uuid4(), invoice=invoice, reason=reason.strip(), total_cents=invoice.total_cents
            )
            return two_people.ask(asked, actor=actor, actor_name=actor_name, now=now)
    except IntegrityError as error:
        raise Conflict(
            "write_off_requested", "Somebody has asked to write it off already."
        ) from error


def refuse_unless_void(invoice: Invoice) -> None:
    """Conflict unless the invoice is void and its lines have not returned."""
    if invoice.state != InvoiceState.VOID:
        raise Conflict(
            "invoice_not_void",
            f"It is {invoice.state}: void it first, so that nobody can pay what is given up.",
        )
    if _revisions(invoice).filter(revision__gt=invoice.revision).exists():
        raise Conflict("invoice_reissued", "It has been issued again.")


def refuse_written_off(invoice: Invoice) -> None:
    """Conflict `invoice_written_off` once its lines have been given up."""
    if WriteOff.objects.filter(invoice=invoice, state=RequestState.APPROVED).exists():
        raise Conflict("invoice_written_off", "It was written off: it is not issued again.")


def _revisions(invoice: Invoice) -> QuerySet[Invoice]:
    return Invoice.objects.filter(
        commit_id=invoice.commit_id,
        occasion=invoice.occasion,
        occasion_ref=invoice.occasion_ref,
    )


def locked_write_off(*, write_off_id: UUID) -> WriteOff:
    """The request, its invoice's row and its own locked, in that order."""
    asked = two_people.find(WriteOff, write_off_id)
    invoices.locked_invoice(invoice_id=asked.invoice_id)
    return two_people.find(WriteOff, write_off_id, lock=True, related=("invoice__customer",))


def approve(
    asked: WriteOff,
    *,
    withdrawn: Sequence[Withdrawn],
    actor_name: str,
    now: datetime,
    actor: AbstractBaseUser | None = None,
) -> Entry | None:
    """Write the approval of a locked request that `two_people.may_approve` let pass.

    Inside the caller's transaction; returns the entry for the caller to post, if there is anything
    to book. Raises Conflict `invoice_not_void`, `invoice_reissued`.
    """
    refuse_unless_void(asked.invoice)
    asked.withdrawn = [[str(w.commit_id), w.quarter_index, w.cents] for w in withdrawn]
    asked.unused_cents = sum(item.cents for item in withdrawn)
    two_people.approve(asked, actor=actor, actor_name=actor_name, now=now)
    return invoice_entries.written_off(
        invoices.facts_of(asked.invoice),
        invoices.accounting_date(now=now),
        withdrawn=withdrawn,
        write_off=asked.pk,
        words=asked.reason,
    )


def reject_write_off(
    *,
    write_off_id: UUID,
    actor_name: str,
    now: datetime,
    why: str = "",
    actor: AbstractBaseUser | None = None,
) -> WriteOff:
    """Decline a request; again answers with the rejected one. Raises Conflict `not_open`."""
    with transaction.atomic():
        asked = locked_write_off(write_off_id=write_off_id)
        return two_people.reject(asked, actor=actor, actor_name=actor_name, now=now, why=why)


def written_off_of(*, commit_ids: Iterable[UUID]) -> list[WriteOff]:
    """The approved write-offs of the invoices of these commits."""
    found = WriteOff.objects.filter(
        invoice__commit_id__in=list(commit_ids), state=RequestState.APPROVED
    )
    return list(found.select_related("invoice").order_by("decided_at", "pk"))
