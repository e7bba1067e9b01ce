"""Commits and their quarters: what was promised, and what has been booked of it.

Figures with the prefix `booked_` are what the journal holds; what is shown to anyone is computed
from the chain (commits/domain/chain.py). All stated amounts are whole cents.
"""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q

from billing.models import Customer, Invoice
from billing.models.fields import TsTzRange, cents_dollars_field, fraction_field, money_field
from billing.models.loading import QuickLoad
from commits.domain.policies import EndOfTerm
from metering.models import RateCard, UsagePeriod


class CommitState(models.TextChoices):
    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    ENDED = "ended", "Ended"


class Commit(QuickLoad):
    """A customer's promise: an instalment per quarter, a number of quarters, a discount, policies.

    `quarter_count` is null for an uncommitted customer (instalment 0, discount 0, no end).
    `origin` is the first commit of a chain of renewals: cents cumulate per origin, and `offset`
    is the number of quarters of the chain before this commit.
    """

    id = models.UUIDField(primary_key=True)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="commits")
    origin = models.ForeignKey("self", on_delete=models.PROTECT, related_name="chain")
    predecessor = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="successor"
    )
    offset = models.IntegerField(default=0)
    state = models.CharField(max_length=16, choices=CommitState.choices, default=CommitState.DRAFT)
    starts_on = models.DateField(help_text="first day, in the contract's time zone")
    timezone = models.CharField(max_length=64, default="UTC")
    period_months = models.IntegerField(default=3)
    quarter_count = models.IntegerField(null=True, blank=True, help_text="empty: uncommitted")
    # Whole cents by the terms' own check: django-stubs cannot follow our field in an array.
    instalments = ArrayField(
        models.DecimalField(max_digits=20, decimal_places=2),
        help_text="dollars, one for each quarter",
    )
    discount = fraction_field(help_text="0.20 is 20 % off list")
    overrides = models.JSONField(
        default=list, blank=True, help_text="fixed prices agreed at signing"
    )
    price_protection = models.BooleanField(default=True)
    grace_hours = models.IntegerField(default=72)
    rollover_fraction = fraction_field(default=1)
    rollover_cap = cents_dollars_field(null=True, blank=True)
    rollover_max_times = models.IntegerField(null=True, blank=True)
    end_of_term = models.CharField(
        max_length=16,
        choices=[(kind.value, kind.value) for kind in EndOfTerm],
        default=EndOfTerm.TAIL,
    )
    tail_quarters = models.IntegerField(null=True, blank=True)
    auto_approve_max_overage = cents_dollars_field(
        null=True,
        blank=True,
        help_text="closes with at most this overage need no human; empty: all do",
    )
    rate_card = models.OneToOneField(
        RateCard, null=True, blank=True, on_delete=models.PROTECT, related_name="commit"
    )
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    activated_at = models.DateTimeField(null=True, blank=True)
    activated_by = models.CharField(max_length=150, blank=True, default="")
    ended_at = models.DateTimeField(null=True, blank=True)
    cut_at = models.DateTimeField(
        null=True, blank=True, help_text="uncommitted: where a signed commit took over"
    )
    book_runs = models.BigIntegerField(
        default=0, help_text="bookings that this chain has had: part of entry keys"
    )
    booked_seq = models.BigIntegerField(
        default=0, help_text="the ingest sequence up to which usage has been booked"
    )

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.CheckConstraint(
                name="commit_has_a_positive_number_of_quarters",
                condition=Q(quarter_count__isnull=True) | Q(quarter_count__gte=1),
            ),
            models.CheckConstraint(
                name="commit_discount_is_a_share_below_one",
                condition=Q(discount__gte=0) & Q(discount__lt=1),
            ),
            models.CheckConstraint(
                name="commit_rolls_over_a_share",
                condition=Q(rollover_fraction__gte=0) & Q(rollover_fraction__lte=1),
            ),
            models.CheckConstraint(
                name="commit_grace_is_not_negative", condition=Q(grace_hours__gte=0)
            ),
            models.CheckConstraint(
                name="commit_period_is_a_month_or_a_quarter", condition=Q(period_months__in=[1, 3])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} {self.starts_on} {str(self.id)[:8]}"


class QuarterState(models.TextChoices):
    """Each is a resting place. Whether a posted quarter is invoiced is read off its invoice."""

    OPEN = "open", "Open"
    PLANNED = "planned", "Planned"
    APPROVED = "approved", "Approved"
    POSTED = "posted", "Posted"


class Quarter(QuickLoad):
    """One quarter of a commit, half-open `[starts_at, ends_at)`; a tail quarter has no instalment.

    `index` counts from 1 within the commit, `position` within the chain of its origin.
    """

    # No index of their own: the unique keys of a quarter begin with them.
    commit = models.ForeignKey(
        Commit, on_delete=models.PROTECT, related_name="quarters", db_index=False
    )
    origin = models.ForeignKey(Commit, on_delete=models.PROTECT, related_name="+", db_index=False)
    index = models.IntegerField()
    position = models.IntegerField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    is_tail = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=QuarterState.choices, default=QuarterState.OPEN)
    usage_period = models.OneToOneField(
        UsagePeriod, on_delete=models.PROTECT, related_name="quarter"
    )
    posted_at = models.DateTimeField(null=True, blank=True)
    # No index: nobody asks for it, and the post of a close can then change the row in place.
    invoice = models.ForeignKey(
        Invoice,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="closed_quarters",
        db_index=False,
    )
    booked_drawn = money_field(default=0)
    booked_overage = money_field(default=0)
    booked_rolled_in = money_field(default=0)
    booked_rolled_out = money_field(default=0)
    booked_breakage_paid = money_field(default=0)
    booked_breakage_credit = money_field(default=0)
    booked_usage = models.JSONField(
        default=list, help_text="usage slices [[until, dollars]] as booked"
    )
    overage_given_back = money_field(default=0)
    closed_overage = money_field(default=0, help_text="exact overage at its own close")
    overage_billed_cents = models.BigIntegerField(default=0)
    late_billed_cents = models.BigIntegerField(default=0)
    refunded_cents = models.BigIntegerField(
        default=0, help_text="money of this quarter that credit notes have given back"
    )
    refund_residue = money_field(
        default=0, help_text="what was left below a cent at the end, and went to rounding"
    )
    billed_groups = models.JSONField(
        default=list, help_text="usage groups as of the last close that billed this quarter"
    )

    class Meta:
        ordering = ("commit", "index")
        constraints = [
            models.UniqueConstraint(
                name="one_quarter_per_commit_and_index", fields=["commit", "index"]
            ),
            models.UniqueConstraint(
                name="one_quarter_per_chain_and_position", fields=["origin", "position"]
            ),
            models.CheckConstraint(
                name="quarter_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
            ExclusionConstraint(
                name="quarters_of_a_chain_do_not_overlap",
                expressions=[
                    ("origin", RangeOperators.EQUAL),
                    (TsTzRange("starts_at", "ends_at", RangeBoundary()), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                name="posted_quarter_says_when",
                condition=~Q(state="posted") | Q(posted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"Q{self.index}"
