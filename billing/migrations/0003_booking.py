"""The database function that books entries: see sql/0003_booking.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_guards")]

    operations = [
        migrations.RunSQL(
            (SQL / "0003_booking.sql").read_text(encoding="utf-8"),
            (SQL / "0003_booking_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
