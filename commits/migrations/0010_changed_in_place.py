"""Quarters and grants are changed in place: no index of what changes, and room on their pages."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0015_sets_instead_of_foreign_keys"),
        ("commits", "0009_backfill_requests"),
    ]

    operations = [
        migrations.AlterField(
            model_name="grant",
            name="invoice",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="the first revision of the invoice that bills this money",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="billed_grants",
                to="billing.invoice",
            ),
        ),
        migrations.AlterField(
            model_name="quarter",
            name="invoice",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="closed_quarters",
                to="billing.invoice",
            ),
        ),
        migrations.RunSQL(
            [
                "ALTER TABLE commits_quarter SET (fillfactor = 70)",
                "ALTER TABLE commits_grant SET (fillfactor = 70)",
            ],
            [
                "ALTER TABLE commits_quarter RESET (fillfactor)",
                "ALTER TABLE commits_grant RESET (fillfactor)",
            ],
        ),
    ]
