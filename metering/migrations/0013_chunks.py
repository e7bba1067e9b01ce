"""Events in chunks (sql/0013_chunks.sql): tables for chunks, event keys, runs and voids."""

from pathlib import Path

import django.db.models.deletion
from django.db import migrations, models

SQL = Path(__file__).parent / "sql"
CUSTOMER = models.ForeignKey(
    db_constraint=False,
    db_index=False,
    on_delete=django.db.models.deletion.PROTECT,
    related_name="+",
    to="billing.customer",
)


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_login_attempts"),
        ("metering", "0012_cross_checks"),
    ]

    operations = [
        # What the events are called from now on is a view.
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE metering_usageevent RENAME TO metering_eventbefore;"
                    " ALTER INDEX an_event_is_voided_at_most_once"
                    " RENAME TO an_event_before_is_voided_at_most_once",
                    "ALTER INDEX an_event_before_is_voided_at_most_once"
                    " RENAME TO an_event_is_voided_at_most_once;"
                    " ALTER TABLE metering_eventbefore RENAME TO metering_usageevent",
                )
            ],
            state_operations=[migrations.DeleteModel("UsageEvent")],
        ),
        migrations.CreateModel(
            name="EventKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id",
                        "event_key",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("customer", CUSTOMER),
                ("event_key", models.UUIDField()),
                ("chunk_id", models.BigIntegerField()),
                ("fingerprint", models.IntegerField()),
                ("place", models.SmallIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="UsageRun",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "customer_id",
                        "first_seq",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("customer", CUSTOMER),
                ("first_seq", models.BigIntegerField()),
                ("chunk_id", models.BigIntegerField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("first_place", models.SmallIntegerField()),
                ("event_count", models.SmallIntegerField()),
                ("first_origin", models.SmallIntegerField()),
                ("origin_count", models.SmallIntegerField()),
                ("has_hardware", models.BooleanField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["customer", "last_at"], name="usage_runs_by_time"),
                    models.Index(
                        fields=["customer", "last_at"],
                        name="usage_runs_of_hardware",
                        condition=models.Q(has_hardware=True),
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            name="UsageVoid",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="billing.customer",
                    ),
                ),
                ("chunk_id", models.BigIntegerField()),
                ("place", models.SmallIntegerField()),
                ("seq", models.BigIntegerField()),
                ("source", models.TextField()),
                ("event_id", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        name="an_event_is_voided_at_most_once", fields=["chunk_id", "place"]
                    )
                ]
            },
        ),
        migrations.RunSQL(
            (SQL / "0013_chunks.sql").read_text(encoding="utf-8"),
            (SQL / "0013_chunks_reverse.sql").read_text(encoding="utf-8"),
        ),
    ]
