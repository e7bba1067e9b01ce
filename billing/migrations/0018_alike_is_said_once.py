"""Booking with less to read and to check one by one: see sql/0018_alike_is_said_once.sql.

A guard of entries as a set stands for the foreign key of their invoice from here on.
"""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("billing", "0017_indexes_of_the_journal")]

    operations = [
        migrations.RunSQL(
            (SQL / "0018_alike_is_said_once.sql").read_text(encoding="utf-8"),
            (SQL / "0018_alike_is_said_once_reverse.sql").read_text(encoding="utf-8"),
        ),
        migrations.AlterField(
            model_name="journalentry",
            name="invoice",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="billing.invoice",
            ),
        ),
    ]
