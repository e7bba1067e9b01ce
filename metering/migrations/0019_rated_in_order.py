"""Counts how often waiting usage of a customer was rated: the order that instants cannot tell.

What was rated before has no count, and goes on being told by its instant.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("metering", "0018_runs_by_span")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="usagestate",
            name="rated_seq",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="unratedusage",
            name="rated_seq",
            field=models.BigIntegerField(blank=True, null=True),
        ),
    ]
