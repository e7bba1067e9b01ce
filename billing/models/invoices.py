"""Invoices in whole cents, their lines, and how far each has come on its way to Stripe."""

from django.db import models
from django.db.models import Q

from billing.models.customers import Customer
from billing.models.fields import rate_field
from billing.models.loading import QuickLoad


class InvoiceState(models.TextChoices):
    DRAFT = "draft", "Draft"
    FINALIZED = "finalized", "Finalized"
    PAID = "paid", "Paid"
    VOID = "void", "Void"
    UNCOLLECTIBLE = "uncollectible", "Uncollectible"


class Occasion(models.TextChoices):
    """Why an invoice exists. There is one live invoice per (commit, occasion, occasion_ref)."""

    ACTIVATION = "activation", "Activation"
    CLOSE = "close", "Quarter close"
    TRUE_UP = "true_up", "True-up billed now"
    ADJUSTMENT = "adjustment", "Adjustment"


class PushStep(models.TextChoices):
    """The last step towards Stripe that is known to be done. Each is a resting place."""

    NOTHING = "nothing", "Not sent"
    CREATED = "created", "Created"
    LINES_ADDED = "lines_added", "Lines added"
    VERIFIED = "verified", "Verified"
    FINALIZED = "finalized", "Finalized"
    SENT = "sent", "Sent to the customer"


class LineKind(models.TextChoices):
    INSTALMENT = "instalment", "Instalment"
    OVERAGE = "overage", "Overage"
    TRUE_UP = "true_up", "True-up"
    LATE_USAGE = "late_usage", "Late usage"


class Invoice(QuickLoad):
    """One bill. Amounts are whole cents; lines never change once the invoice exists."""

    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="invoices")
    commit_id = models.UUIDField()
    occasion = models.CharField(max_length=16, choices=Occasion.choices)
    occasion_ref = models.CharField(
        max_length=64,
        blank=True,
        help_text="quarter number of a close, id of a true-up, else empty",
    )
    revision = models.IntegerField(default=1)
    state = models.CharField(
        max_length=16, choices=InvoiceState.choices, default=InvoiceState.DRAFT
    )
    total_cents = models.BigIntegerField()
    tax_cents = models.BigIntegerField(default=0)
    number = models.CharField(max_length=64, blank=True, default="")
    stripe_id = models.CharField(max_length=64, blank=True, default="")
    hosted_url = models.URLField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField()
    issued_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    uncollectible_at = models.DateTimeField(null=True, blank=True)
    paid_outside_stripe = models.BooleanField(default=False)
    push_step = models.CharField(max_length=16, choices=PushStep.choices, default=PushStep.NOTHING)
    push_error = models.TextField(blank=True, default="")
    push_blocked = models.BooleanField(
        default=False, help_text="a permanent failure: a human must look before we try again"
    )
    push_attempts = models.IntegerField(default=0)
    push_next_at = models.DateTimeField(null=True, blank=True, help_text="real time, not sandbox")
    push_leased_until = models.DateTimeField(
        null=True, blank=True, help_text="real time: until then one worker pushes it alone"
    )

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                name="one_invoice_per_commit_occasion_revision",
                fields=["commit_id", "occasion", "occasion_ref", "revision"],
            ),
            models.UniqueConstraint(
                name="one_live_invoice_per_commit_occasion",
                fields=["commit_id", "occasion", "occasion_ref"],
                condition=~Q(state="void"),
            ),
            models.UniqueConstraint(
                name="one_invoice_per_stripe_id", fields=["stripe_id"], condition=~Q(stripe_id="")
            ),
            models.CheckConstraint(
                name="invoice_total_is_not_negative", condition=Q(total_cents__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"draft {str(self.id)[:8]}"


class InvoiceLine(models.Model):
    """One line in whole cents. Tokens and rate are for information: the amount decides."""

    # No index of its own: the unique key begins with it. No foreign key either: the guard that
    # lines add up to their invoice's total finds one that is not there.
    invoice = models.ForeignKey(
        Invoice,
        on_delete=models.PROTECT,
        related_name="lines",
        db_index=False,
        db_constraint=False,
    )
    position = models.IntegerField()
    kind = models.CharField(max_length=16, choices=LineKind.choices)
    quarter_index = models.IntegerField()
    description = models.CharField(max_length=300)
    model = models.CharField(max_length=200, blank=True, default="")
    mode = models.CharField(max_length=32, blank=True, default="")
    meter = models.CharField(max_length=64, blank=True, default="")
    quantity = models.DecimalField(max_digits=30, decimal_places=0, null=True, blank=True)
    rate = rate_field(null=True, blank=True)
    amount_cents = models.BigIntegerField()
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    grant_ref = models.CharField(
        max_length=64, blank=True, default="", help_text="the grant that an instalment line bills"
    )

    class Meta:
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(
                name="one_line_per_invoice_position", fields=["invoice", "position"]
            ),
            models.CheckConstraint(
                name="invoice_line_is_not_negative", condition=Q(amount_cents__gte=0)
            ),
        ]

    def __str__(self) -> str:
        return self.description


class StripeCall(models.Model):
    """One step of the way to Stripe of an invoice or of a credit note on it: the exact payload,
    stored before it is sent.

    Unique per (invoice, step, epoch): the idempotency key is made of these, and a step is only
    sent again under a new epoch after Stripe was asked what it has.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="stripe_calls")
    step = models.CharField(max_length=16)
    epoch = models.IntegerField()
    payload = models.TextField(help_text="JSON, byte for byte as first sent")
    first_sent_at = models.DateTimeField(help_text="real time: Stripe forgets keys after a day")
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_stripe_call_per_step_and_epoch", fields=["invoice", "step", "epoch"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.step}/{self.epoch}"
