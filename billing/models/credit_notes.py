"""Credit notes: what of an invoice is taken back, who agreed to it, and where its cents went."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.domain.journal import AccountCode
from billing.models.invoices import Invoice
from billing.models.requests import TwoPersonRequest

# Whoever asks and approves where the close itself decides.
RULE = "rule"


class CreditNoteState(models.TextChoices):
    """Each is a resting place; an approved note is in the books and on its way to Stripe."""

    REQUESTED = "requested", "Requested"
    APPROVED = "approved", "Approved"
    ISSUED = "issued", "Issued"
    REJECTED = "rejected", "Rejected"


class CreditNoteKind(models.TextChoices):
    UNUSED_INSTALMENT = "unused_instalment", "Unused instalment"
    OVERBILLED_USAGE = "overbilled_usage", "Overbilled usage"


class CreditNote(TwoPersonRequest):
    """A part of one invoice taken back, in whole cents before tax.

    `receivable_cents`, `customer_credit_cents` and `refund_cents` say where the books have them
    now; `refund_outside_cents` is the part of a refund that Stripe cannot pay.
    """

    object_type = "credit_note"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="credit_notes")
    kind = models.CharField(max_length=32, choices=CreditNoteKind.choices)
    reason = models.CharField(max_length=300)
    total_cents = models.BigIntegerField()
    as_credit = models.BooleanField(
        default=False, help_text="what was paid becomes a credit with us instead of a refund"
    )
    debited = models.CharField(max_length=32, choices=[(code, code) for code in AccountCode])
    commit_id = models.UUIDField()
    quarter_index = models.IntegerField()
    state = models.CharField(
        max_length=16, choices=CreditNoteState.choices, default=CreditNoteState.REQUESTED
    )
    receivable_cents = models.BigIntegerField(default=0)
    customer_credit_cents = models.BigIntegerField(default=0)
    refund_cents = models.BigIntegerField(default=0)
    refund_outside_cents = models.BigIntegerField(default=0)
    refunded_outside_at = models.DateTimeField(null=True, blank=True)
    moves = models.IntegerField(default=0, help_text="how often the split was booked anew")
    number = models.CharField(max_length=64, blank=True, default="")
    stripe_id = models.CharField(max_length=64, blank=True, default="")
    issued_at = models.DateTimeField(null=True, blank=True)
    push_error = models.TextField(blank=True, default="")
    push_blocked = models.BooleanField(default=False)
    push_attempts = models.IntegerField(default=0)
    push_next_at = models.DateTimeField(null=True, blank=True, help_text="real time, not sandbox")

    class Meta:
        ordering = ("-requested_at", "-id")
        constraints = [
            models.UniqueConstraint(
                name="one_credit_note_per_stripe_id",
                fields=["stripe_id"],
                condition=~Q(stripe_id=""),
            ),
            models.CheckConstraint(
                name="credit_note_is_more_than_nothing", condition=Q(total_cents__gt=0)
            ),
            models.CheckConstraint(
                name="credit_note_goes_where_its_cents_go",
                condition=Q(state__in=["requested", "rejected"])
                | Q(
                    total_cents=F("receivable_cents")
                    + F("customer_credit_cents")
                    + F("refund_cents")
                ),
            ),
            models.CheckConstraint(
                name="credit_note_parts_are_not_negative",
                condition=Q(receivable_cents__gte=0)
                & Q(customer_credit_cents__gte=0)
                & Q(refund_cents__gte=F("refund_outside_cents"))
                & Q(refund_outside_cents__gte=0),
            ),
            models.CheckConstraint(
                name="credit_note_is_approved_by_another_than_its_maker",
                condition=~Q(state__in=["approved", "issued"])
                | Q(requested_by=RULE, decided_by=RULE)
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by"))),
            ),
        ]

    @property
    def customer_key(self) -> str:
        return self.invoice.customer.key

    def audit_details(self) -> dict[str, Any]:
        return {
            "invoice": str(self.invoice_id),
            "total_cents": self.total_cents,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return self.number or f"credit note {str(self.id)[:8]}"
