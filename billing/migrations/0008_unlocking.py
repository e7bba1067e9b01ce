"""What it takes to unlock a month: see sql/0008_unlocking.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_period_unlocks")]

    operations = [
        migrations.RunSQL(
            (SQL / "0008_unlocking.sql").read_text(encoding="utf-8"),
            (SQL / "0008_unlocking_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
