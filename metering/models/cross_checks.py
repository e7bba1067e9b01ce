"""What agents say they have sent: a second count of usage, to hold against the first."""

from django.db import models
from django.db.models import Q


class ReportedTotal(models.Model):
    """What one source has sent of a customer, hour, model, mode and meter, by its own count.

    Cumulative: a later report of the same hour takes the place of the earlier one.
    """

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    hour = models.DateTimeField()
    model = models.TextField()
    mode = models.TextField()
    meter = models.TextField()
    source = models.TextField()
    quantity = models.DecimalField(max_digits=30, decimal_places=0)
    reported_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_reported_total_per_source_and_group",
                fields=["customer", "hour", "model", "mode", "meter", "source"],
            ),
            models.CheckConstraint(
                name="a_reported_total_is_not_negative", condition=Q(quantity__gte=0)
            ),
        ]
        indexes = [models.Index(fields=["hour"], name="reported_totals_by_hour")]

    def __str__(self) -> str:
        return f"{self.source} {self.hour:%Y-%m-%d %H} {self.model} {self.meter}"
