"""A write-off takes two people and a void invoice: see sql/0013_write_off_guards.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0012_write_offs")]

    operations = [
        migrations.RunSQL(
            (SQL / "0013_write_off_guards.sql").read_text(encoding="utf-8"),
            (SQL / "0013_write_off_guards_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
