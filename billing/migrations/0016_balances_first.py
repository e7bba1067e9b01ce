"""Booking in fewer steps: see sql/0016_balances_first.sql."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0015_sets_instead_of_foreign_keys")]

    operations = [
        migrations.RunSQL(
            (SQL / "0016_balances_first.sql").read_text(encoding="utf-8"),
            (SQL / "0016_balances_first_reverse.sql").read_text(encoding="utf-8"),
        )
    ]
