"""A backfill begins as a request and is decided once: see sql/0009_backfill_requests.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_requests"), ("commits", "0008_backfills")]

    operations = [
        migrations.RunSQL(
            (SQL / "0009_backfill_requests.sql").read_text(encoding="utf-8"),
            (SQL / "0009_backfill_requests_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
