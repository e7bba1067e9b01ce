"""Private prices that finance asks for: one customer's own list price, agreed by two people."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import TruncHour

from billing.models import TwoPersonRequest, approved_by_another
from billing.models.fields import price_field
from metering.domain.meters import Mode
from metering.models.prices import Meter


class PrivatePriceRequest(TwoPersonRequest):
    """A list price for one customer alone, such as that of its fine-tuned model.

    Once approved it stands in the price book (a `Price` with that customer).
    """

    object_type = "private_price"

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="private_price_requests"
    )
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=32, choices=[(mode, mode) for mode in Mode])
    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="+")
    price = price_field()
    effective_at = models.DateTimeField()

    class Meta:
        ordering = ("-requested_at",)
        constraints = [
            models.CheckConstraint(name="private_price_is_not_negative", condition=Q(price__gte=0)),
            models.CheckConstraint(
                name="private_price_starts_on_a_whole_hour",
                condition=Q(effective_at=TruncHour("effective_at")),
            ),
            approved_by_another("private_price_is_approved_by_another_than_its_maker"),
        ]

    @property
    def customer_key(self) -> str:
        return self.customer.key

    def audit_details(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "mode": self.mode,
            "meter": self.meter_id,
            "price": str(self.price),
            "effective_at": self.effective_at.isoformat(),
        }

    def __str__(self) -> str:
        return f"{self.model} {self.mode} {self.meter_id} {self.price} for {self.customer_id}"
