"""What the addresses of credit notes take and answer."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from billing.api.fields import (
    CentsMoneyField,
    FlagField,
    InstantField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from billing.models import CreditNote, CreditNoteKind, CreditNoteState


class CreditNoteIn(StrictSerializer):
    """What of an invoice to take back: dollars in whole cents before tax, and why."""

    amount = CentsMoneyField(minimum=Decimal("0.01"))
    reason = TextField(max_length=300)
    kind = serializers.ChoiceField(choices=CreditNoteKind.choices, default=None, allow_null=True)
    quarter = WholeNumberField(min_value=1, default=None, allow_null=True)
    as_credit = FlagField(default=False)


class CreditNoteOut(serializers.Serializer[CreditNote]):
    """A credit note, and where its cents are."""

    id = serializers.UUIDField()
    invoice = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=CreditNoteKind.choices)
    reason = serializers.CharField()
    total_cents = serializers.IntegerField()
    as_credit = serializers.BooleanField()
    commit = serializers.UUIDField()
    quarter = serializers.IntegerField()
    state = serializers.ChoiceField(choices=CreditNoteState.choices)
    receivable_cents = serializers.IntegerField()
    customer_credit_cents = serializers.IntegerField()
    refund_cents = serializers.IntegerField()
    refund_outside_cents = serializers.IntegerField()
    number = serializers.CharField(allow_null=True)
    stripe_id = serializers.CharField(allow_null=True)
    requested_at = InstantField()
    requested_by = serializers.CharField()
    decided_at = InstantField(allow_null=True)
    decided_by = serializers.CharField(allow_null=True)
    rejected_because = serializers.CharField(allow_null=True)
    issued_at = InstantField(allow_null=True)


def _instant(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def credit_note_body(note: CreditNote) -> dict[str, Any]:
    """A credit note as CreditNoteOut describes it."""
    return {
        "id": str(note.pk),
        "invoice": str(note.invoice_id),
        "kind": note.kind,
        "reason": note.reason,
        "total_cents": note.total_cents,
        "as_credit": note.as_credit,
        "commit": str(note.commit_id),
        "quarter": note.quarter_index,
        "state": note.state,
        "receivable_cents": note.receivable_cents,
        "customer_credit_cents": note.customer_credit_cents,
        "refund_cents": note.refund_cents,
        "refund_outside_cents": note.refund_outside_cents,
        "number": note.number or None,
        "stripe_id": note.stripe_id or None,
        "requested_at": _instant(note.requested_at),
        "requested_by": note.requested_by,
        "decided_at": _instant(note.decided_at),
        "decided_by": note.decided_by or None,
        "rejected_because": note.rejected_because or None,
        "issued_at": _instant(note.issued_at),
    }
