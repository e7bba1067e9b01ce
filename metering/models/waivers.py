"""Waivers: usage without a price that nobody shall pay for, asked for by one and approved by
another of finance. Never a price of zero: the usage stays, and says that it was waived."""

from typing import Any

from django.db import models
from django.db.models import Q

from billing.models import TwoPersonRequest, approved_by_another
from metering.models.usage import UnratedUsage


class Waiver(TwoPersonRequest):
    """A request to waive quantities of one customer that wait to be rated, and its decision.

    It names exactly the quantities that waited when it was asked for: what comes later waits on.
    """

    object_type = "waiver"

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="waivers"
    )
    reason = models.CharField(max_length=300)
    quantities = models.ManyToManyField(UnratedUsage, related_name="waivers")

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(name="waiver_has_a_reason", condition=~Q(reason="")),
            approved_by_another("waiver_is_approved_by_another_than_its_maker"),
        ]

    @property
    def customer_key(self) -> str:
        return self.customer.key

    def audit_details(self) -> dict[str, Any]:
        return {"reason": self.reason}

    def __str__(self) -> str:
        return f"waiver for {self.customer_id}: {self.reason}"
