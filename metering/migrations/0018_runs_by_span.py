"""Runs are found by their last time among those of about their length: sql/0018_runs_by_span.sql.

Ingest waits while the indexes are built: about a second for a million runs.
"""

from pathlib import Path

from django.db import migrations, models
from django.db.models import F, Func, Q

SQL = Path(__file__).parent / "sql"
SPAN = Func(F("first_at"), F("last_at"), function="metering_run_span")


class Migration(migrations.Migration):
    dependencies = [("metering", "0017_numbering")]

    operations = [
        migrations.RunSQL(
            (SQL / "0018_runs_by_span.sql").read_text(encoding="utf-8"),
            (SQL / "0018_runs_by_span_reverse.sql").read_text(encoding="utf-8"),
        ),
        migrations.AddIndex(
            model_name="usagerun",
            index=models.Index("customer", SPAN, "last_at", name="usage_runs_by_span_and_time"),
        ),
        migrations.AddIndex(
            model_name="usagerun",
            index=models.Index(
                "customer",
                SPAN,
                "last_at",
                name="usage_runs_of_hardware_by_span",
                condition=Q(has_hardware=True),
            ),
        ),
        migrations.RemoveIndex(model_name="usagerun", name="usage_runs_by_time"),
        migrations.RemoveIndex(model_name="usagerun", name="usage_runs_of_hardware"),
        # What the planner knows of spans comes with their index, but not before it is looked at.
        migrations.RunSQL("ANALYZE metering_usagerun", migrations.RunSQL.noop),
    ]
