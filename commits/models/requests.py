"""What one person asks for and another approves: true-ups, credits, overrides."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.models import TwoPersonRequest, approved_by_another
from billing.models.fields import cents_dollars_field, fraction_field, price_field
from commits.models.commits import Commit


class CommitRequest(TwoPersonRequest):
    """A request about one commit."""

    commit: models.ForeignKey[Commit, Commit]

    class Meta:
        abstract = True

    @property
    def customer_key(self) -> str:
        return self.commit.customer.key


class TrueUp(CommitRequest):
    """A mid-contract increase of a commit: `amount` dollars a quarter, from one quarter of the
    term through another. Approved by a finance user other than the one who asked."""

    object_type = "true_up"

    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="true_ups")
    amount = cents_dollars_field()
    from_quarter = models.IntegerField()
    through_quarter = models.IntegerField()
    discount = fraction_field(null=True, blank=True)
    effective_at = models.DateTimeField(null=True, blank=True)
    bill_now = models.BooleanField(default=False)

    class Meta:
        ordering = ("-requested_at",)
        verbose_name = "true-up"
        constraints = [
            models.CheckConstraint(name="true_up_is_an_increase", condition=Q(amount__gt=0)),
            models.CheckConstraint(
                name="true_up_runs_forward",
                condition=Q(from_quarter__gte=1) & Q(through_quarter__gte=F("from_quarter")),
            ),
            approved_by_another("true_up_is_approved_by_another_than_its_maker"),
        ]

    def audit_details(self) -> dict[str, Any]:
        return {
            "amount": str(self.amount),
            "from_quarter": self.from_quarter,
            "through_quarter": self.through_quarter,
        }

    def __str__(self) -> str:
        return f"+{self.amount} a quarter, Q{self.from_quarter} to Q{self.through_quarter}"


class Credit(CommitRequest):
    """Balance that nobody pays for: an SLA or promotional credit, approved by a second user.

    It belongs to one quarter (the one running at its approval unless named) and covers usage of
    that quarter timed before `expires_at`; empty means the quarter's end.
    """

    object_type = "credit"

    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="credits")
    amount = cents_dollars_field()
    reason = models.CharField(max_length=300)
    quarter_index = models.IntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    rolls_over = models.BooleanField(default=False)

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(name="credit_is_more_than_nothing", condition=Q(amount__gt=0)),
            approved_by_another("credit_is_approved_by_another_than_its_maker"),
        ]

    def audit_details(self) -> dict[str, Any]:
        return {"amount": str(self.amount), "reason": self.reason}

    def __str__(self) -> str:
        return f"credit of {self.amount}"


class OverrideRequest(CommitRequest):
    """A fixed price for one (model or sku, mode, meter), agreed in mid-contract by two people."""

    object_type = "override"

    commit = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="override_requests")
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=32)
    meter = models.CharField(max_length=64)
    price = price_field()
    effective_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            approved_by_another("override_is_approved_by_another_than_its_maker"),
        ]

    def audit_details(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "mode": self.mode,
            "meter": self.meter,
            "price": str(self.price),
        }

    def __str__(self) -> str:
        return f"{self.model} {self.mode} {self.meter} at {self.price}"
