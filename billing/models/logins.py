"""Attempts to log in, kept for as long as they count against an account or an address."""

from django.db import models


class LoginAttempt(models.Model):
    """One attempt whose password has not been found right. Real time, also in a sandbox."""

    username = models.CharField(max_length=150)
    address = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["username", "at"], name="login_attempt_by_account"),
            models.Index(fields=["address", "at"], name="login_attempt_by_address"),
        ]

    def __str__(self) -> str:
        return f"{self.username} from {self.address}"
