"""Customers and who may speak for them: API keys and customer logins."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from billing.models.loading import QuickLoad


class Customer(QuickLoad):
    """The company we bill, known everywhere by its stable `key`."""

    key = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9._-]*\Z", "lower case, digits, . _ -")],
    )
    name = models.CharField(max_length=200)
    email = models.EmailField()
    timezone = models.CharField(max_length=64, default="UTC")
    stripe_customer_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("key",)

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"


class ApiKeyKind(models.TextChoices):
    AGENT = "agent", "Agent (posts usage)"
    CUSTOMER = "customer", "Customer (reads one customer)"
    FINANCE = "finance", "Finance (acts for a staff user)"


class ApiKey(models.Model):
    """A bearer key: shown once, stored as a SHA-256 digest of 256 random bits, revocable."""

    kind = models.CharField(max_length=16, choices=ApiKeyKind.choices)
    name = models.CharField(max_length=100, blank=True, default="")
    public_id = models.CharField(max_length=24, unique=True)
    secret_digest = models.CharField(max_length=64)
    customer = models.ForeignKey(
        Customer, null=True, blank=True, on_delete=models.PROTECT, related_name="api_keys"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="api_keys",
    )
    allowed_customers = models.ManyToManyField(Customer, blank=True, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    # The ids of `allowed_customers` (none: not limited), where the key was read to be obeyed.
    allowed_customer_ids: frozenset[int] = frozenset()

    class Meta:
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                name="api_key_names_its_owner",
                condition=(
                    Q(kind="agent", customer__isnull=True, user__isnull=True)
                    | Q(kind="customer", customer__isnull=False, user__isnull=True)
                    | Q(kind="finance", customer__isnull=True, user__isnull=False)
                ),
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}_{self.public_id}"


class CustomerLogin(models.Model):
    """A user who sees one customer's dashboard and nothing else."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="customer_login"
    )
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="logins")

    def __str__(self) -> str:
        return f"{self.user} of {self.customer.key}"
