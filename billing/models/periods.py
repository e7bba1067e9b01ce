"""Accounting periods: months that finance has locked, and what it takes to unlock one again."""

from typing import Any

from django.db import models
from django.db.models import Q

from billing.models.requests import TwoPersonRequest, approved_by_another


class AccountingPeriod(models.Model):
    """A calendar month that finance has locked: nothing may be dated in it any more.

    A month that was unlocked and is locked again has a row for each time.
    """

    month = models.DateField(help_text="first day of the month")
    locked_at = models.DateTimeField()
    locked_by = models.CharField(max_length=150)
    unlocked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-month", "-id")
        constraints = [
            models.UniqueConstraint(
                name="a_month_is_locked_once", fields=["month"], condition=Q(unlocked_at=None)
            ),
            models.CheckConstraint(
                name="accounting_period_begins_on_the_first", condition=Q(month__day=1)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"


class PeriodUnlock(TwoPersonRequest):
    """A request to unlock a month, with its reason. The database unlocks for nothing else."""

    object_type = "period_unlock"

    period = models.ForeignKey(AccountingPeriod, on_delete=models.PROTECT, related_name="unlocks")
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(name="period_unlock_has_a_reason", condition=~Q(reason="")),
            approved_by_another("period_unlock_is_approved_by_another_than_its_maker"),
            models.UniqueConstraint(
                name="one_open_request_to_unlock_a_period",
                fields=["period"],
                condition=Q(state="requested"),
            ),
        ]

    def audit_details(self) -> dict[str, Any]:
        return {"month": str(self.period), "reason": self.reason}

    def __str__(self) -> str:
        return f"unlock {self.period}"
