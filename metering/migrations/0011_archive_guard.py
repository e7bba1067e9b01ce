"""What an archive may take out of an event, and nothing else: sql/0011_archive_guard.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0010_usage_archive"), ("billing", "0002_guards")]

    operations = [
        migrations.RunSQL(
            (SQL / "0011_archive_guard.sql").read_text(encoding="utf-8"),
            (SQL / "0011_archive_guard_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
