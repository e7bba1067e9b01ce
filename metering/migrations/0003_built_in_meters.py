"""The meters that every installation has: see sql/0003_built_in_meters.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0002_guards")]

    operations = [
        migrations.RunSQL(
            (SQL / "0003_built_in_meters.sql").read_text(encoding="utf-8"),
            # Prices may hang on a meter by now; the table goes with 0001.
            migrations.RunSQL.noop,
        )
    ]
