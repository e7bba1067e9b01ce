"""The function that writes the three rollups: sql/0006_add_usage.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0005_why_a_waiver_is_rejected")]

    operations = [
        migrations.RunSQL(
            (SQL / "0006_add_usage.sql").read_text(encoding="utf-8"),
            (SQL / "0006_add_usage_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
