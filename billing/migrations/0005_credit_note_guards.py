"""What the database refuses of credit notes: see sql/0005_credit_note_guards.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_credit_notes")]

    operations = [
        migrations.RunSQL(
            (SQL / "0005_credit_note_guards.sql").read_text(encoding="utf-8"),
            (SQL / "0005_credit_note_guards_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
