"""Write-offs: voided invoices that nobody will pay and that are not issued again."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from billing.models.invoices import Invoice
from billing.models.requests import TwoPersonRequest, approved_by_another


class WriteOff(TwoPersonRequest):
    """A request to give up what one voided invoice billed, whole.

    At its approval `withdrawn` says which money nobody had used, in whole cents by commit and
    quarter: it can be drawn no more. The rest of `total_cents` is a bad debt.
    """

    object_type = "write_off"

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="write_offs")
    reason = models.CharField(max_length=300)
    total_cents = models.BigIntegerField()
    unused_cents = models.BigIntegerField(default=0)
    withdrawn = models.JSONField(
        default=list, blank=True, help_text="[commit, quarter, cents] of money that nobody used"
    )

    class Meta:
        ordering = ("-requested_at", "-id")
        constraints = [
            approved_by_another("write_off_is_approved_by_another_than_its_maker"),
            models.CheckConstraint(name="write_off_has_a_reason", condition=~Q(reason="")),
            models.CheckConstraint(
                name="write_off_withdraws_no_more_than_was_billed",
                condition=Q(unused_cents__gte=0) & Q(unused_cents__lte=F("total_cents")),
            ),
            models.UniqueConstraint(
                name="one_live_write_off_per_invoice",
                fields=["invoice"],
                condition=~Q(state="rejected"),
            ),
        ]

    @property
    def customer_key(self) -> str:
        return self.invoice.customer.key

    @property
    def bad_debt_cents(self) -> int:
        """What was used and will not be paid."""
        return self.total_cents - self.unused_cents

    def audit_details(self) -> dict[str, Any]:
        return {
            "invoice": str(self.invoice_id),
            "total_cents": self.total_cents,
            "unused_cents": self.unused_cents,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        return f"write-off of {self.invoice}"
