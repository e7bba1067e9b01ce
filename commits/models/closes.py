"""Closes: the settlement of a quarter, from its plan to its post."""

from django.db import models
from django.db.models import F, Q

from billing.models.loading import QuickLoad
from commits.models.commits import Quarter


class CloseState(models.TextChoices):
    PLANNED = "planned", "Planned"
    APPROVED = "approved", "Approved"
    POSTED = "posted", "Posted"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Close(QuickLoad):
    """The settlement of one quarter: its inputs, their digest, the plan, and who let it pass.

    The plan is a pure function of `inputs`. It is made anew at each run until it is approved;
    approval freezes the inputs of that digest.
    """

    # No index of its own: a unique key begins with it.
    quarter = models.ForeignKey(
        Quarter, on_delete=models.PROTECT, related_name="closes", db_index=False
    )
    revision = models.IntegerField(default=1)
    state = models.CharField(max_length=16, choices=CloseState.choices, default=CloseState.PLANNED)
    inputs = models.TextField(help_text="in their canonical spelling, of which the digest is")
    plan = models.JSONField()
    digest = models.CharField(max_length=64)
    needs_human = models.JSONField(default=list, help_text="why no rule may approve this close")
    planned_at = models.DateTimeField()
    planned_by = models.CharField(max_length=150)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.CharField(max_length=150, blank=True, default="")
    posted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                name="one_live_close_per_quarter",
                fields=["quarter"],
                condition=~Q(state="withdrawn"),
            ),
            models.UniqueConstraint(
                name="one_close_per_quarter_and_revision", fields=["quarter", "revision"]
            ),
            models.CheckConstraint(
                name="close_is_approved_by_another_than_its_planner",
                condition=Q(approved_by="")
                | Q(approved_by="rule")
                | ~Q(approved_by=F("planned_by")),
            ),
            models.CheckConstraint(
                name="close_is_posted_only_when_approved",
                condition=~Q(state__in=["approved", "posted"]) | ~Q(approved_by=""),
            ),
        ]

    def __str__(self) -> str:
        return f"close of {self.quarter} ({self.state})"
