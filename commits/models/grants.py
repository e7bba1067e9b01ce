"""Grants: drawable dollars, and what has been booked of them and of each day's usage."""

from django.db import models
from django.db.models import F, Q

from billing.models import Invoice
from billing.models.fields import money_field
from billing.models.loading import QuickLoad
from commits.domain.chain import GrantKind
from commits.models.commits import Quarter


class Grant(QuickLoad):
    """Drawable dollars of one quarter, with what has been booked of them.

    Instalments, true-ups and credits are issued; rollover grants are written by the close of the
    quarter before, and follow the chain when late usage changes it. An instalment may grow by a
    true-up until it is invoiced.
    """

    # No index of its own: the unique key begins with it.
    quarter = models.ForeignKey(
        Quarter, on_delete=models.PROTECT, related_name="grants", db_index=False
    )
    ref = models.CharField(
        max_length=64, help_text="the grant that the money came from first; stays while it rolls"
    )
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in GrantKind])
    source_kind = models.CharField(max_length=16, blank=True, default="")
    amount = money_field()
    drawn = money_field(default=0)
    rolled_out = money_field(default=0)
    broken = money_field(default=0)
    returned = money_field(
        default=0, help_text="given back by credit notes, below a cent to rounding"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    rolls = models.BooleanField(default=True)
    rolls_whole = models.BooleanField(default=False)
    paid = models.BooleanField(default=True)
    times_rolled = models.IntegerField(default=0)
    draw_place = models.IntegerField(default=0, help_text="place in the draw order of its quarter")
    true_up = models.ForeignKey(
        "commits.TrueUp", null=True, blank=True, on_delete=models.PROTECT, related_name="grants"
    )
    # No index: nobody asks for it, and the post of a close can then change the row in place.
    invoice = models.ForeignKey(
        Invoice,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="billed_grants",
        db_index=False,
        help_text="the first revision of the invoice that bills this money",
    )
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("quarter", "draw_place", "id")
        constraints = [
            models.UniqueConstraint(
                name="one_grant_per_quarter_and_ref", fields=["quarter", "ref"]
            ),
            models.UniqueConstraint(
                name="one_instalment_per_quarter",
                fields=["quarter"],
                condition=Q(kind="instalment"),
            ),
            models.CheckConstraint(name="grant_is_not_negative", condition=Q(amount__gte=0)),
            models.CheckConstraint(
                name="grant_is_never_overdrawn",
                condition=Q(drawn__gte=0)
                & Q(rolled_out__gte=0)
                & Q(broken__gte=0)
                & Q(returned__gte=0)
                & Q(amount__gte=F("drawn") + F("rolled_out") + F("broken") + F("returned")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class BookedDay(models.Model):
    """Exact dollars of usage of one quarter and UTC day that the journal already holds."""

    quarter = models.ForeignKey(
        Quarter, on_delete=models.PROTECT, related_name="booked_days", db_index=False
    )
    day = models.DateField()
    amount = money_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="one_booked_amount_per_quarter_and_day", fields=["quarter", "day"]
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.amount}"
