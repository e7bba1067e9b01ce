"""Backfills: usage of one source and stretch of time, declared as a whole and decided by two."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.models import Customer, TwoPersonRequest, approved_by_another


class BackfillKind(models.TextChoices):
    ADD = "add", "Add what is missing"
    REPLACE = "replace", "Replace what the source reported"


class Backfill(TwoPersonRequest):
    """Events of one source in `[starts_at, ends_at)`, staged until another finance user approves.

    `replace` takes back what the source reported of these customers in that time and is not
    staged again; without staged events it is a void by filter.
    """

    object_type = "backfill"

    source = models.CharField(max_length=200)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    kind = models.CharField(max_length=16, choices=BackfillKind.choices)
    reason = models.CharField(max_length=300)
    customers = models.ManyToManyField(Customer, through="BackfillShare", related_name="+")

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            approved_by_another("backfill_is_approved_by_another_than_its_maker"),
            models.CheckConstraint(
                name="backfill_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(name="backfill_has_a_reason", condition=~Q(reason="")),
        ]

    @property
    def applied_at(self) -> datetime | None:
        """When the last customer's share was applied; None while one is left."""
        times = list(self.shares.values_list("applied_at", flat=True))
        return None if None in times else max(filter(None, times), default=None)

    def audit_details(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "from": self.starts_at.isoformat(),
            "to": self.ends_at.isoformat(),
            "kind": self.kind,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.source}, {self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"


class BackfillShare(models.Model):
    """One customer's share of a backfill: applied in a database transaction of its own."""

    backfill = models.ForeignKey(
        Backfill, on_delete=models.PROTECT, related_name="shares", db_index=False
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_share_per_backfill_and_customer", fields=["backfill", "customer"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.backfill_id} for {self.customer_id}"


class StagedEvent(models.Model):
    """An event of a backfill, as it was sent, before it is usage."""

    share = models.ForeignKey(
        BackfillShare, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    event_id = models.CharField(max_length=200)
    body = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_staged_event_per_share_and_id", fields=["share", "event_id"]
            )
        ]

    def __str__(self) -> str:
        return self.event_id
