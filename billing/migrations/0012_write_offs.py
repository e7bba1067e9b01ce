"""Write-offs of voided invoices."""

import django.db.models.deletion
from django.db import migrations, models

import billing.domain.accounts


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_login_attempts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="journalentry",
            name="code",
            field=models.CharField(
                choices=[
                    (
                        billing.domain.accounts.EntryCode["INVOICE_ISSUED"],
                        billing.domain.accounts.EntryCode["INVOICE_ISSUED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["INVOICE_VOIDED"],
                        billing.domain.accounts.EntryCode["INVOICE_VOIDED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["INVOICE_UNCOLLECTIBLE"],
                        billing.domain.accounts.EntryCode["INVOICE_UNCOLLECTIBLE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["INVOICE_WRITTEN_OFF"],
                        billing.domain.accounts.EntryCode["INVOICE_WRITTEN_OFF"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["PAYMENT_STRIPE"],
                        billing.domain.accounts.EntryCode["PAYMENT_STRIPE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["PAYMENT_OUTSIDE"],
                        billing.domain.accounts.EntryCode["PAYMENT_OUTSIDE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["PAYMENT_CUSTOMER_CREDIT"],
                        billing.domain.accounts.EntryCode["PAYMENT_CUSTOMER_CREDIT"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["CREDIT_NOTE_ISSUED"],
                        billing.domain.accounts.EntryCode["CREDIT_NOTE_ISSUED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["CREDIT_NOTE_MOVED"],
                        billing.domain.accounts.EntryCode["CREDIT_NOTE_MOVED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["REFUND_STRIPE"],
                        billing.domain.accounts.EntryCode["REFUND_STRIPE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["REFUND_OUTSIDE"],
                        billing.domain.accounts.EntryCode["REFUND_OUTSIDE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["USAGE_DRAWDOWN"],
                        billing.domain.accounts.EntryCode["USAGE_DRAWDOWN"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["USAGE_OVERAGE"],
                        billing.domain.accounts.EntryCode["USAGE_OVERAGE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["USAGE_REVERSED"],
                        billing.domain.accounts.EntryCode["USAGE_REVERSED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["USAGE_LATE"],
                        billing.domain.accounts.EntryCode["USAGE_LATE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["MONEY_COVERS_OVERAGE"],
                        billing.domain.accounts.EntryCode["MONEY_COVERS_OVERAGE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["OVERAGE_GIVEN_BACK"],
                        billing.domain.accounts.EntryCode["OVERAGE_GIVEN_BACK"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["CREDIT_GRANTED"],
                        billing.domain.accounts.EntryCode["CREDIT_GRANTED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["ROLLOVER"],
                        billing.domain.accounts.EntryCode["ROLLOVER"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["BREAKAGE"],
                        billing.domain.accounts.EntryCode["BREAKAGE"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["CREDIT_EXPIRED"],
                        billing.domain.accounts.EntryCode["CREDIT_EXPIRED"],
                    ),
                    (
                        billing.domain.accounts.EntryCode["RESIDUE"],
                        billing.domain.accounts.EntryCode["RESIDUE"],
                    ),
                ],
                max_length=40,
            ),
        ),
        migrations.CreateModel(
            name="WriteOff",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "Requested"),
                            ("approved", "Approved"),
                            ("rejected", "Rejected"),
                        ],
                        default="requested",
                        max_length=16,
                    ),
                ),
                ("requested_at", models.DateTimeField()),
                ("requested_by", models.CharField(max_length=150)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("decided_by", models.CharField(blank=True, default="", max_length=150)),
                ("rejected_because", models.CharField(blank=True, default="", max_length=300)),
                ("reason", models.CharField(max_length=300)),
                ("total_cents", models.BigIntegerField()),
                ("unused_cents", models.BigIntegerField(default=0)),
                (
                    "withdrawn",
                    models.JSONField(
                        blank=True,
                        default=list,
                        help_text="[commit, quarter, cents] of money that nobody used",
                    ),
                ),
                (
                    "invoice",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="write_offs",
                        to="billing.invoice",
                    ),
                ),
            ],
            options={
                "ordering": ("-requested_at", "-id"),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "approved"), _negated=True),
                            models.Q(
                                models.Q(("decided_by", ""), _negated=True),
                                models.Q(("decided_by", models.F("requested_by")), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="write_off_is_approved_by_another_than_its_maker",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True),
                        name="write_off_has_a_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("unused_cents__gte", 0), ("unused_cents__lte", models.F("total_cents"))
                        ),
                        name="write_off_withdraws_no_more_than_was_billed",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "rejected"), _negated=True),
                        fields=("invoice",),
                        name="one_live_write_off_per_invoice",
                    ),
                ],
            },
        ),
    ]
