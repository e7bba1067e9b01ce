"""What one person asks for and another decides: the columns and the guard of all such requests."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q


class RequestState(models.TextChoices):
    """Each is a resting place."""

    REQUESTED = "requested", "Requested"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class TwoPersonRequest(models.Model):
    """Asked for by one, decided by another (services/two_people.py).

    Each kind puts `approved_by_another` among its constraints, so that the database refuses a
    request that its own maker approved, whoever writes it.
    """

    object_type: ClassVar[str]  # As the audit trail and error codes name this kind.

    id = models.UUIDField(primary_key=True)
    state = models.CharField(
        max_length=16, choices=RequestState.choices, default=RequestState.REQUESTED
    )
    requested_at = models.DateTimeField()
    requested_by = models.CharField(max_length=150)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    rejected_because = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        abstract = True

    @property
    def customer_key(self) -> str:
        """Whose it is, for the audit trail; empty for what belongs to no customer."""
        return ""

    def audit_details(self) -> dict[str, Any]:
        """What the audit trail keeps of it."""
        return {}


def approved_by_another(name: str) -> models.CheckConstraint:
    """The guard of one kind of request; `name` says it as a sentence."""
    return models.CheckConstraint(
        name=name,
        condition=~Q(state="approved") | (~Q(decided_by="") & ~Q(decided_by=F("requested_by"))),
    )
