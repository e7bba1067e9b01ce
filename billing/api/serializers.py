"""What billing's own addresses take and answer."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from billing.api.credit_note_bodies import CreditNoteOut, credit_note_body
from billing.api.fields import InstantField, MoneyField, StrictSerializer, TextField
from billing.domain.money import plain
from billing.models import Customer, Invoice, InvoiceLine, InvoiceState, JournalEntry, LineKind


class CustomerIn(StrictSerializer):
    """A customer to create."""

    key = TextField(max_length=64)
    name = TextField(max_length=200)
    email = TextField(max_length=254)
    timezone = TextField(max_length=64, default="UTC")


class CustomerOut(serializers.Serializer[Customer]):
    """A customer."""

    id = serializers.CharField()
    key = serializers.CharField()
    name = serializers.CharField()
    email = serializers.EmailField()
    timezone = serializers.CharField()
    stripe_id = serializers.CharField(allow_null=True)
    created_at = InstantField()


class ReasonIn(StrictSerializer):
    """Why an act is done; it stands in the audit trail."""

    reason = TextField(max_length=500, default="", allow_blank=True)


class RejectionIn(StrictSerializer):
    """Why a request is declined; whoever asked reads it."""

    reason = TextField(max_length=300, default="", allow_blank=True)


class InvoiceLineOut(serializers.Serializer[InvoiceLine]):
    """One line: the amount decides, quantity and rate are for information."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=LineKind.choices)
    quarter = serializers.IntegerField()
    description = serializers.CharField()
    model = serializers.CharField()
    mode = serializers.CharField()
    meter = serializers.CharField()
    quantity = serializers.IntegerField(allow_null=True)
    rate = MoneyField(allow_null=True)
    amount_cents = serializers.IntegerField()
    period_start = InstantField()
    period_end = InstantField()


class InvoiceOut(serializers.Serializer[Invoice]):
    """An invoice with its lines."""

    id = serializers.UUIDField()
    customer = serializers.CharField()
    commit = serializers.UUIDField()
    occasion = serializers.CharField()
    occasion_ref = serializers.CharField()
    revision = serializers.IntegerField()
    number = serializers.CharField(allow_null=True)
    state = serializers.ChoiceField(choices=InvoiceState.choices)
    total_cents = serializers.IntegerField()
    tax_cents = serializers.IntegerField()
    stripe_id = serializers.CharField(allow_null=True)
    hosted_url = serializers.CharField(allow_null=True)
    created_at = InstantField()
    issued_at = InstantField(allow_null=True)
    due_at = InstantField(allow_null=True)
    paid_at = InstantField(allow_null=True)
    lines = InvoiceLineOut(many=True)
    credit_notes = CreditNoteOut(many=True)


class PostingOut(serializers.Serializer[Any]):
    """A signed amount: a debit is positive."""

    id = serializers.CharField()
    account = serializers.CharField()
    quarter = serializers.IntegerField(allow_null=True)
    amount = MoneyField()


class EntryOut(serializers.Serializer[JournalEntry]):
    """A journal entry with its postings."""

    id = serializers.CharField()
    key = serializers.CharField()
    code = serializers.CharField()
    commit = serializers.UUIDField(allow_null=True)
    quarter = serializers.IntegerField(allow_null=True)
    origin_quarter = serializers.IntegerField(allow_null=True)
    accounting_date = serializers.DateField()
    usage_date = serializers.DateField(allow_null=True)
    booked_at = InstantField()
    description = serializers.CharField()
    invoice = serializers.UUIDField(allow_null=True)
    evidence = serializers.JSONField()
    postings = PostingOut(many=True)


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _day(value: date | None) -> str | None:
    return None if value is None else value.isoformat()


def _money(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def customer_body(customer: Customer) -> dict[str, Any]:
    """A customer as CustomerOut describes it."""
    return {
        "id": customer.key,
        "key": customer.key,
        "name": customer.name,
        "email": customer.email,
        "timezone": customer.timezone,
        "stripe_id": customer.stripe_customer_id or None,
        "created_at": _instant(customer.created_at),
    }


def invoice_body(invoice: Invoice) -> dict[str, Any]:
    """An invoice as InvoiceOut describes it; its customer and lines are read."""
    return {
        "id": str(invoice.pk),
        "customer": invoice.customer.key,
        "commit": str(invoice.commit_id),
        "occasion": invoice.occasion,
        "occasion_ref": invoice.occasion_ref,
        "revision": invoice.revision,
        "number": invoice.number or None,
        "state": invoice.state,
        "total_cents": invoice.total_cents,
        "tax_cents": invoice.tax_cents,
        "stripe_id": invoice.stripe_id or None,
        "hosted_url": invoice.hosted_url or None,
        "created_at": _instant(invoice.created_at),
        "issued_at": _instant(invoice.issued_at),
        "due_at": _instant(invoice.due_at),
        "paid_at": _instant(invoice.paid_at),
        "lines": [_line_body(line) for line in invoice.lines.all()],
        "credit_notes": [credit_note_body(note) for note in invoice.credit_notes.all()],
    }


def _line_body(line: InvoiceLine) -> dict[str, Any]:
    return {
        "id": str(line.pk),
        "kind": line.kind,
        "quarter": line.quarter_index,
        "description": line.description,
        "model": line.model,
        "mode": line.mode,
        "meter": line.meter,
        "quantity": None if line.quantity is None else int(line.quantity),
        "rate": _money(line.rate),
        "amount_cents": line.amount_cents,
        "period_start": _instant(line.period_start),
        "period_end": _instant(line.period_end),
    }


def entry_body(entry: JournalEntry) -> dict[str, Any]:
    """A journal entry as EntryOut describes it; its postings and accounts are read."""
    return {
        "id": str(entry.pk),
        "key": entry.key,
        "code": entry.code,
        "commit": None if entry.commit_id is None else str(entry.commit_id),
        "quarter": entry.quarter_index,
        "origin_quarter": entry.origin_quarter_index,
        "accounting_date": _day(entry.accounting_date),
        "usage_date": _day(entry.usage_date),
        "booked_at": _instant(entry.booked_at),
        "description": entry.description,
        "invoice": None if entry.invoice_id is None else str(entry.invoice_id),
        "evidence": entry.evidence,
        "postings": [
            {
                "id": str(posting.pk),
                "account": posting.account.code,
                "quarter": posting.account.quarter_index,
                "amount": plain(posting.amount),
            }
            for posting in entry.postings.all()
        ],
    }
