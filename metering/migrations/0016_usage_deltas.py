"""What ingest adds is folded into the rollups later, many at once: sql/0016_usage_deltas.sql."""

from pathlib import Path

from django.db import migrations, models

import billing.models.fields

SQL = Path(__file__).parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("metering", "0015_archives_of_months")]

    operations = [
        migrations.RunSQL(
            (SQL / "0016_usage_deltas.sql").read_text(encoding="utf-8"),
            (SQL / "0016_usage_deltas_reverse.sql").read_text(encoding="utf-8"),
        ),
        migrations.CreateModel(
            name="DailyUsage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id",
                        "period_id",
                        "day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("day", models.DateField()),
                (
                    "amount",
                    billing.models.fields.ExactDecimalField(decimal_places=12, max_digits=38),
                ),
            ],
            options={
                "db_table": "metering_dailyusage",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="HourlyUsage",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id",
                        "period_id",
                        "hour",
                        "model",
                        "mode",
                        "meter",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("hour", models.DateTimeField()),
                ("model", models.TextField()),
                ("mode", models.TextField()),
                ("meter", models.TextField()),
                ("rate", billing.models.fields.ExactDecimalField(decimal_places=12, max_digits=30)),
                ("quantity", models.DecimalField(decimal_places=0, max_digits=30)),
            ],
            options={
                "db_table": "metering_hourlyusage",
                "managed": False,
            },
        ),
    ]
