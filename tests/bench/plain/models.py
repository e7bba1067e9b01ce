"""Usage events as a model that anybody would write first."""

from django.db import models


class PlainEvent(models.Model):
    """A usage event of tokens."""

    customer = models.ForeignKey("billing.Customer", on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=200)
    event_id = models.CharField(max_length=200)
    occurred_at = models.DateTimeField()
    model = models.CharField(max_length=200)
    mode = models.CharField(max_length=32)
    input_tokens = models.BigIntegerField()
    cached_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    endpoint = models.CharField(max_length=100)
    project = models.CharField(max_length=100)

    class Meta:
        app_label = "plain"
        db_table = "plain_event"
        managed = False

    def __str__(self) -> str:
        return self.event_id
