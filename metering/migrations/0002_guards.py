"""Append-only events, versions that never come back, how rows are stored: sql/0002_guards.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0001_initial")]

    operations = [
        migrations.RunSQL(
            (SQL / "0002_guards.sql").read_text(encoding="utf-8"),
            (SQL / "0002_guards_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
