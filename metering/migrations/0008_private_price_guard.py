"""Private prices only as two people agreed on them: see sql/0008_private_price_guard.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0007_private_prices")]

    operations = [
        migrations.RunSQL(
            (SQL / "0008_private_price_guard.sql").read_text(encoding="utf-8"),
            (SQL / "0008_private_price_guard_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
