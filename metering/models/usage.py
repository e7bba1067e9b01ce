"""Usage: immutable events, the periods they belong to, and quantities that wait to be rated.

Events lie in chunks (sql/0013_chunks.sql), one row for those of a request, and are read through a
view. Append-only by trigger; unique for ever by (customer, keyed hash of source and id).
"""

from typing import Any

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeBoundary, RangeOperators
from django.db import models
from django.db.models import F, Q

from billing.models.fields import TsTzRange
from metering.models.prices import RateCard

SPAN = models.Func(F("first_at"), F("last_at"), function="metering_run_span")


def key_to(model: Any) -> Any:
    """Part of a primary key in a table that ingest fills: what it names is locked by then, so
    neither a constraint nor an index of its own is worth its cost an event."""
    return models.ForeignKey(
        model, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )


class UsagePeriod(models.Model):
    """A stretch of time of one customer whose usage is rated by one rate card: a quarter of a
    commit, as metering sees it. Half-open; no two of a customer overlap."""

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="usage_periods"
    )
    rate_card = models.ForeignKey(RateCard, on_delete=models.PROTECT, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="usage_period_ends_after_it_starts", condition=Q(ends_at__gt=F("starts_at"))
            ),
            ExclusionConstraint(
                name="usage_periods_of_a_customer_do_not_overlap",
                expressions=[
                    ("customer", RangeOperators.EQUAL),
                    (
                        TsTzRange("starts_at", "ends_at", RangeBoundary()),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d} to {self.ends_at:%Y-%m-%d}"


class UsageState(models.Model):
    """One row per customer: the lock that ingest and the close both take.

    `ingest_seq` counts accepted events: the n-th event of a customer has seq n, so "everything up
    to seq n" names a set of events. `rated_seq` counts how often usage that waited has been rated,
    which takes no number of an event. `terms_version` is a fresh number whenever the customer's
    periods or rate cards change: what cached rates go by.
    """

    customer = models.OneToOneField(
        "billing.Customer", primary_key=True, on_delete=models.PROTECT, related_name="usage_state"
    )
    ingest_seq = models.BigIntegerField(default=0)
    rated_seq = models.BigIntegerField(default=0, db_default=0)
    terms_version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.customer_id} at {self.ingest_seq}"


class EventKeySecret(models.Model):
    """One row, made once: the key of the hashes that event keys are.

    It must never change: a new one would make every event ever reported look new. That is why it
    lies with the events and not in a setting.
    """

    id = models.IntegerField(primary_key=True, default=1)
    secret = models.BinaryField(max_length=64)

    class Meta:
        constraints = [
            models.CheckConstraint(name="there_is_one_event_key_secret", condition=Q(id=1))
        ]

    def __str__(self) -> str:
        return "the secret of the event keys"


class EventKind(models.IntegerChoices):
    TOKENS = 1, "inference.tokens"
    GPU = 2, "inference.gpu"
    USAGE = 3, "inference.usage"
    VOID = 4, "inference.void"


class EventKey(models.Model):
    """What makes an event unique for ever: a keyed hash of its source and id, and where it lies.

    `fingerprint` is a checksum of the content, telling a duplicate from a conflict. `place` counts
    from 1 within the chunk.
    """

    pk = models.CompositePrimaryKey("customer_id", "event_key")
    customer = key_to("billing.Customer")
    event_key = models.UUIDField()
    chunk_id = models.BigIntegerField()
    fingerprint = models.IntegerField()
    place = models.SmallIntegerField()

    def __str__(self) -> str:
        return f"{self.event_key} in {self.chunk_id}"


class UsageRun(models.Model):
    """The events of one customer in one chunk: they have the sequence numbers from `first_seq` on.

    Written under the customer's usage lock, which the chunk itself need not wait for. Places and
    origins count from 1; `first_at` and `last_at` are the earliest and the latest time of its
    events, `has_hardware` says whether some are of hardware.
    """

    pk = models.CompositePrimaryKey("customer_id", "first_seq")
    customer = key_to("billing.Customer")
    first_seq = models.BigIntegerField()
    chunk_id = models.BigIntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    first_place = models.SmallIntegerField()
    event_count = models.SmallIntegerField()
    first_origin = models.SmallIntegerField()
    origin_count = models.SmallIntegerField()
    has_hardware = models.BooleanField()

    class Meta:
        indexes = [
            # What is asked by time goes through metering_run_reaches, which says why by span.
            models.Index("customer", SPAN, "last_at", name="usage_runs_by_span_and_time"),
            # A few events an hour and endpoint: what idle hardware cost is read from them.
            models.Index(
                "customer",
                SPAN,
                "last_at",
                name="usage_runs_of_hardware_by_span",
                condition=Q(has_hardware=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} from {self.first_seq}"


class UsageVoid(models.Model):
    """Which event a void took back: `chunk_id` and `place` are those of its target; `seq`, `source`
    and `event_id` its own, being an event of the same customer."""

    customer = models.ForeignKey("billing.Customer", on_delete=models.PROTECT, related_name="+")
    chunk_id = models.BigIntegerField()
    place = models.SmallIntegerField()
    seq = models.BigIntegerField()
    source = models.TextField()
    event_id = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                name="an_event_is_voided_at_most_once", fields=["chunk_id", "place"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class UsageEvent(models.Model):
    """What an agent reported, as it reported it: a row of a view over all chunks. Never edited,
    never deleted.

    Meters are disjoint: `input_tokens` is the uncached input. The n-th accepted event of a customer
    has `seq` n.
    """

    pk = models.CompositePrimaryKey("chunk_id", "place")
    customer = models.ForeignKey("billing.Customer", on_delete=models.DO_NOTHING, related_name="+")
    chunk_id = models.BigIntegerField()
    place = models.IntegerField()
    seq = models.BigIntegerField()
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    input_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    gpu_seconds = models.BigIntegerField()
    busy_gpu_seconds = models.BigIntegerField()
    kind = models.SmallIntegerField(choices=EventKind.choices)
    model = models.TextField(help_text="model name or GPU sku")
    mode = models.TextField()
    source = models.TextField()
    event_id = models.TextField()
    project = models.TextField(null=True)
    extra = models.JSONField(null=True, help_text="endpoint, region, async, quantities, reason")

    class Meta:
        managed = False
        db_table = "metering_usageevent"

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"


class UsageArchive(models.Model):
    """A Parquet file that holds the events which arrived in one UTC month, whole.

    The events stay, with everything that makes them unique and everything that they are worth;
    their `source` says "archive/" and the id of this row, their `event_id` their chunk and place.
    `starts_at` and `ends_at` are times of arrival. Archives made before there were chunks have no
    `month`: they go by the time of the events.
    """

    month = models.IntegerField(
        null=True, help_text="months from January 2000 to that of the events' arrival"
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    file = models.TextField(help_text="name of the file in the archive's directory")
    sha256 = models.CharField(max_length=64)
    row_count = models.BigIntegerField()
    sums = models.JSONField(help_text="what the columns of quantities come to, as text")
    archived_at = models.DateTimeField()
    restored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                name="a_month_is_archived_once", fields=["month"], condition=Q(restored_at=None)
            ),
            models.CheckConstraint(
                name="an_archive_holds_a_stretch_of_time", condition=Q(ends_at__gt=F("starts_at"))
            ),
            models.CheckConstraint(name="an_archive_holds_events", condition=Q(row_count__gt=0)),
        ]

    def __str__(self) -> str:
        return self.file


class UnratedReason(models.TextChoices):
    NO_PRICE = "no_price", "No price for the model"
    NO_COMMIT = "no_commit", "No commit in force at its time"


class Resolution(models.TextChoices):
    RATED = "rated", "Rated"
    VOIDED = "voided", "Voided"
    WAIVED = "waived", "Waived"


class UnratedUsage(models.Model):
    """A quantity of an event that could not be rated: kept, shown, counted, never priced at zero.

    It stands in no rollup until it is rated: the `rated_seq`-th time that usage of its customer
    was. (None as well where it was rated before these times were counted.)
    """

    customer = models.ForeignKey(
        "billing.Customer", on_delete=models.PROTECT, related_name="unrated_usage"
    )
    chunk_id = models.BigIntegerField()
    place = models.SmallIntegerField()
    source = models.TextField()
    event_name = models.TextField(help_text="the id of the event, as reported")
    period = models.ForeignKey(
        UsagePeriod, null=True, blank=True, on_delete=models.PROTECT, related_name="unrated_usage"
    )
    occurred_at = models.DateTimeField()
    model = models.TextField()
    mode = models.TextField()
    meter = models.TextField()
    quantity = models.BigIntegerField()
    reason = models.CharField(max_length=16, choices=UnratedReason.choices)
    recorded_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=16, choices=Resolution.choices, blank=True, default="")
    rated_seq = models.BigIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "unrated usage"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                name="one_unrated_row_per_event_and_meter",
                fields=["chunk_id", "place", "meter"],
            ),
        ]
        indexes = [
            models.Index(
                fields=["customer", "occurred_at"],
                name="unrated_usage_open",
                condition=Q(resolved_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.meter} of {self.model}: {self.reason}"
