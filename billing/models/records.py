"""Records that make things happen once: the webhook inbox, idempotent requests, job runs,
the audit trail, and the sandbox clock."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from billing.models.customers import ApiKey
from billing.models.loading import QuickLoad


class StripeEvent(models.Model):
    """The webhook inbox: verified, stored once, applied later from a fresh look at Stripe."""

    event_id = models.CharField(max_length=100, unique=True)
    type = models.CharField(max_length=100)
    object_id = models.CharField(max_length=100)
    payload = models.JSONField()
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True, blank=True)
    attempts = models.IntegerField(default=0)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-id",)
        indexes = [
            models.Index(
                fields=["id"], name="stripe_event_not_applied", condition=Q(applied_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class IdempotentRequest(models.Model):
    """The first answer to a POST that carried an Idempotency-Key, kept with the key's owner."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.IntegerField()
    body = models.TextField(help_text="the first answer, byte for byte")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_answer_per_idempotency_key", fields=["api_key", "key"]
            )
        ]

    def __str__(self) -> str:
        return self.key


class AuditEvent(QuickLoad):
    """Who did what to which object, when and why. Append-only by trigger."""

    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_ref = models.CharField(max_length=100)
    customer_key = models.CharField(max_length=64, blank=True, default="")
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.object_type} {self.object_ref}"


class JobRun(models.Model):
    """One due instant of a scheduled job: the unique row is what makes it run once."""

    job = models.CharField(max_length=40)
    due_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(name="one_run_per_job_and_instant", fields=["job", "due_at"])
        ]

    def __str__(self) -> str:
        return f"{self.job} {self.due_at:%Y-%m-%d %H:%M}"


class SandboxClock(models.Model):
    """The sandbox clock: at the real instant `set_at` the service's time was `shows`.

    It runs on at real speed from there. At most one row.
    """

    id = models.IntegerField(primary_key=True, default=1)
    shows = models.DateTimeField()
    set_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(name="there_is_one_sandbox_clock", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"{self.shows}"
