"""A request begins as one and is decided once: see sql/0009_requests.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_requests"), ("metering", "0008_private_price_guard")]

    operations = [
        migrations.RunSQL(
            (SQL / "0009_requests.sql").read_text(encoding="utf-8"),
            (SQL / "0009_requests_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
