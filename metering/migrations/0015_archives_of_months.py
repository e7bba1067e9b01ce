"""Archives hold whole months of arrival, and can be restored (sql/0015_archive_guard.sql).

Those made before, by the time of events, have no month: nothing is restored from them.
"""

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0014_events_into_chunks")]

    operations = [
        migrations.AddField(
            "usagearchive",
            "month",
            models.IntegerField(
                null=True, help_text="months from January 2000 to that of the events' arrival"
            ),
        ),
        migrations.AddField("usagearchive", "restored_at", models.DateTimeField(null=True)),
        migrations.AddConstraint(
            "usagearchive",
            models.UniqueConstraint(
                name="a_month_is_archived_once",
                fields=["month"],
                condition=models.Q(restored_at=None),
            ),
        ),
        migrations.RunSQL(
            (SQL / "0015_archive_guard.sql").read_text(encoding="utf-8"),
            (SQL / "0015_archive_guard_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
