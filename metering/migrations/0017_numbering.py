"""The function that counts events under the locks of their customers: sql/0017_numbering.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0016_usage_deltas")]

    operations = [
        migrations.RunSQL(
            (SQL / "0017_numbering.sql").read_text(encoding="utf-8"),
            (SQL / "0017_numbering_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
