"""Rollups: rated usage added up by hour, by day and in all, as balances and closes read it.

What a transaction of ingest adds to them commits with its events, as a delta that is folded in
later (sql/0016_usage_deltas.sql); readers see both, so a balance read from them is never stale.
`check_ledger` re-derives them from the events.
"""

from django.db import models
from django.db.models import Q

from billing.models.fields import money_field, rate_field
from metering.models.usage import UsagePeriod, key_to


class _OfAnHour(models.Model):
    """Rated usage of one customer, hour, model, mode and meter. Within an hour the rate of a
    period cannot change, so a row has one rate; `quantity` is cumulative."""

    pk = models.CompositePrimaryKey("customer_id", "period_id", "hour", "model", "mode", "meter")
    customer = key_to("billing.Customer")
    period = key_to(UsagePeriod)
    hour = models.DateTimeField()
    model = models.TextField()
    mode = models.TextField()
    meter = models.TextField()
    rate = rate_field()
    quantity = models.DecimalField(max_digits=30, decimal_places=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.model} {self.meter}"


class _OfADay(models.Model):
    """Exact rated dollars of one period and UTC day: what drawdown books day by day."""

    pk = models.CompositePrimaryKey("customer_id", "period_id", "day")
    customer = key_to("billing.Customer")
    period = key_to(UsagePeriod)
    day = models.DateField()
    amount = money_field()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.day} {self.amount}"


class UsageHour(_OfAnHour):
    """Usage of hours as it has been folded in."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="usage_of_an_hour_is_not_negative", condition=Q(quantity__gte=0)
            )
        ]


class UsageDay(_OfADay):
    """Dollars of days as they have been folded in."""


class HourlyUsage(_OfAnHour):
    """Usage of hours as readers see it, in a view: rows of `UsageHour`, and beside them what has
    not been folded into them yet, under the same keys."""

    class Meta:
        managed = False
        db_table = "metering_hourlyusage"


class DailyUsage(_OfADay):
    """The same of days: `UsageDay`, and what has not been folded into it yet."""

    class Meta:
        managed = False
        db_table = "metering_dailyusage"


class UsageTotal(models.Model):
    """Cumulative rated usage of a whole period by model, mode, meter and rate: what balances and
    closes read, a handful of rows however many events there were."""

    pk = models.CompositePrimaryKey("customer_id", "period_id", "model", "mode", "meter", "rate")
    customer = key_to("billing.Customer")
    period = key_to(UsagePeriod)
    model = models.TextField()
    mode = models.TextField()
    meter = models.TextField()
    rate = rate_field()
    quantity = models.DecimalField(max_digits=30, decimal_places=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="usage_of_a_period_is_not_negative", condition=Q(quantity__gte=0)
            )
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.mode} {self.meter} {self.rate}"
