"""The books: accounts, journal entries and their postings, and accounting periods.

Append-only by trigger and balanced by a deferred constraint trigger (migration SQL); a correction
is a new entry. `LedgerAccount.balance` is a cached sum that `check_ledger` proves.
"""

from uuid import UUID

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from billing.domain.journal import AccountCode, EntryCode
from billing.models.customers import Customer
from billing.models.fields import money_field
from billing.models.invoices import Invoice

# Stands for "no commit" in the unique index of accounts.
NO_COMMIT = UUID(int=0)


class LedgerAccount(models.Model):
    """One account of the chart, kept per customer, and per commit and quarter where its code is."""

    code = models.CharField(max_length=32, choices=[(code, code) for code in AccountCode])
    # No index of its own: the unique key begins with it.
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="accounts", db_index=False
    )
    commit_id = models.UUIDField(null=True, blank=True)
    quarter_index = models.IntegerField(null=True, blank=True)
    balance = money_field(default=0)

    class Meta:
        constraints = [
            # Over expressions, not NULLS NOT DISTINCT: posting looks accounts up, and locks them
            # in order, by plain equality on this very index.
            models.UniqueConstraint(
                F("customer"),
                Coalesce(F("commit_id"), Value(NO_COMMIT, output_field=models.UUIDField())),
                Coalesce(F("quarter_index"), Value(0)),
                F("code"),
                name="one_account_of_a_code_per_customer_commit_quarter",
            ),
            models.CheckConstraint(
                name="account_code_is_in_the_chart",
                condition=Q(code__in=[code.value for code in AccountCode]),
            ),
        ]

    def __str__(self) -> str:
        quarter = f" Q{self.quarter_index}" if self.quarter_index else ""
        return f"{self.code}{quarter}"


class JournalEntry(models.Model):
    """A balanced, immutable set of postings with a deterministic unique key.

    Three clocks: `usage_date` is when it happened (usage entries), `accounting_date` decides the
    period, `booked_at` is when we wrote it.
    """

    # Unique by a constraint below: the option would add an index for LIKE, which nobody asks for.
    key = models.CharField(max_length=200)
    code = models.CharField(max_length=40, choices=[(code, code) for code in EntryCode])
    # No foreign key of the database: its postings' accounts are of this customer, a guard says.
    customer = models.ForeignKey(
        Customer,
        on_delete=models.PROTECT,
        related_name="entries",
        db_index=False,
        db_constraint=False,
    )
    commit_id = models.UUIDField(null=True, blank=True)
    quarter_index = models.IntegerField(null=True, blank=True)
    origin_quarter_index = models.IntegerField(null=True, blank=True)
    accounting_date = models.DateField()
    usage_date = models.DateField(null=True, blank=True)
    booked_at = models.DateTimeField()
    description = models.CharField(max_length=300, blank=True, default="")
    # An index of the few entries that have one, below; a guard stands for the foreign key.
    invoice = models.ForeignKey(
        Invoice,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="entries",
        db_index=False,
        db_constraint=False,
    )
    fingerprint = models.CharField(max_length=64)
    evidence = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "journal entries"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(name="the_key_of_an_entry_is_used_once", fields=["key"])
        ]
        indexes = [
            # Read from its end for the newest first; descending, every new entry would split pages
            # in the middle.
            models.Index(fields=["customer", "id"], name="entry_by_customer"),
            models.Index(fields=["commit_id", "quarter_index"], name="entry_by_quarter"),
            # Entries are dated nearly in the order in which they come.
            BrinIndex(fields=["accounting_date"], name="entry_by_accounting_date"),
            models.Index(
                fields=["invoice"], name="entry_by_invoice", condition=Q(invoice__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.code}"


class Posting(models.Model):
    """A signed amount on one account: a debit is positive, a credit negative."""

    # A guard that looks at a statement's postings as a set stands for both foreign keys.
    entry = models.ForeignKey(
        JournalEntry, on_delete=models.PROTECT, related_name="postings", db_constraint=False
    )
    account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="postings", db_constraint=False
    )
    amount = money_field()

    class Meta:
        ordering = ("id",)
        constraints = [
            models.CheckConstraint(name="posting_is_not_zero", condition=~Q(amount=0)),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount}"
