"""Guards that look at a statement's rows as a set: see sql/0014_guards_of_sets.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0013_write_off_guards")]

    operations = [
        migrations.RunSQL(
            (SQL / "0014_guards_of_sets.sql").read_text(encoding="utf-8"),
            (SQL / "0014_guards_of_sets_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
