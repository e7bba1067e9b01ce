"""Waivers: usage without a price that nobody shall pay for, asked for by one and approved by
another of finance. Never a price of zero: the usage stays, and says that it was waived."""

from django.db import models
from django.db.models import F, Q

from metering.models.usage import UnratedUsage


class WaiverState(models.TextChoices):
    REQUESTED = "requested", "Requested"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class Waiver(models.Model):
    """A request to waive quantities of one customer that wait to be rated, and its decision.

    It names exactly the quantities that waited when it was asked for: what comes later waits on.
    """

    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="waivers"
    )
    reason = models.CharField(max_length=300)
    state = models.CharField(
        max_length=16, choices=WaiverState.choices, default=WaiverState.REQUESTED
    )
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    quantities = models.ManyToManyField(UnratedUsage, related_name="waivers")

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(name="waiver_has_a_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="waiver_is_approved_by_another_than_its_maker",
                condition=~Q(state="approved")
                | (~Q(decided_by="") & ~Q(decided_by=F("requested_by"))),
            ),
        ]

    def __str__(self) -> str:
        return f"waiver for {self.customer_id}: {self.reason}"
