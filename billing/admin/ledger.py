"""The books, read-only: journal entries with postings, accounts, the trial balance."""

from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin
from billing.admin.forms import DayField, PlainForm
from billing.domain.money import ZERO
from billing.models import Customer, JournalEntry, LedgerAccount
from billing.services import ledger
from billing.templatetags import ledger_formats as formats


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__", "customer_key", "quarter", "accounted", "used_on", "booked", "debited",
        "description",
    )  # fmt: skip
    list_filter = ("code", "accounting_date", "customer")
    search_fields = ("key", "description", "customer__key")
    related = ("customer", "invoice")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        debits = models.Sum("postings__amount", filter=models.Q(postings__amount__gt=0))
        found: models.QuerySet[Any] = super().get_queryset(request).annotate(debits=debits)
        return found

    @admin.display(description="Customer", ordering="customer__key")
    def customer_key(self, entry: JournalEntry) -> str:
        return entry.customer.key

    @admin.display(description="Quarter", ordering="quarter_index")
    def quarter(self, entry: JournalEntry) -> str:
        origin = f" (of Q{entry.origin_quarter_index})" if entry.origin_quarter_index else ""
        return f"Q{entry.quarter_index}{origin}" if entry.quarter_index else "-"

    @admin.display(description="Accounting date", ordering="accounting_date")
    def accounted(self, entry: JournalEntry) -> str:
        return entry.accounting_date.isoformat()

    @admin.display(description="Usage date", ordering="usage_date")
    def used_on(self, entry: JournalEntry) -> str:
        return entry.usage_date.isoformat() if entry.usage_date else "-"

    @admin.display(description="Booked (UTC)", ordering="booked_at")
    def booked(self, entry: JournalEntry) -> str:
        return formats.stamp(entry.booked_at)

    @admin.display(description="Debit = credit")
    def debited(self, entry: Any) -> str:
        return formats.money(entry.debits)

    def page_of(self, request: HttpRequest, obj: JournalEntry) -> pages.Page:
        postings = list(obj.postings.select_related("account"))
        debit = sum((p.amount for p in postings if p.amount > 0), ZERO)
        credit = sum((-p.amount for p in postings if p.amount < 0), ZERO)
        rows = [
            (
                pages.link(
                    formats.words(p.account.code),
                    "admin:billing_ledgeraccount_change",
                    p.account_id,
                    small=f"Q{p.account.quarter_index}" if p.account.quarter_index else "",
                ),
                pages.nonzero(max(p.amount, ZERO)),
                pages.nonzero(max(-p.amount, ZERO)),
                pages.link("Explain", "admin:commits_explain_posting", p.pk),
            )
            for p in postings
        ]
        return pages.Page(
            title=f"Journal entry #{obj.pk}",
            subtitle=obj.code,
            facts=self._facts(obj),
            tables=[
                pages.Table(
                    "Postings",
                    pages.columns("Account", "#Debit", "#Credit", ""),
                    rows,
                    foot=(
                        pages.text("Total"),
                        pages.money(debit),
                        pages.money(credit),
                        pages.text(""),
                    ),
                    note="Balanced." if debit == credit else "NOT BALANCED",
                )
            ],
        )

    def _facts(self, entry: JournalEntry) -> list[tuple[str, pages.Cell]]:
        facts = [
            ("What", pages.text(entry.description or "-")),
            (
                "Customer",
                pages.link(entry.customer.name, "admin:billing_customer_change", entry.customer_id),
            ),
            ("Accounting date (UTC)", pages.on_day(entry.accounting_date)),
            ("Usage date (UTC)", pages.on_day(entry.usage_date)),
            ("Booked at", pages.instant(entry.booked_at)),
            ("Quarter", pages.text(f"Q{entry.quarter_index}" if entry.quarter_index else "-")),
            ("Key", pages.code(entry.key)),
        ]
        if entry.origin_quarter_index:
            facts.insert(6, ("Quarter of origin", pages.text(f"Q{entry.origin_quarter_index}")))
        if entry.commit_id:
            commit = pages.link(
                str(entry.commit_id)[:8], "admin:commits_commit_change", entry.commit_id
            )
            facts.append(("Commit", commit))
        if entry.invoice_id:
            invoice = pages.link(
                str(entry.invoice), "admin:billing_invoice_change", entry.invoice_id
            )
            facts.append(("Invoice", invoice))
        return facts


class AsOfForm(PlainForm):
    as_of = DayField(required=False, label="As of", help_text="Accounting dates up to, UTC.")
    customer = forms.ModelChoiceField(
        Customer.objects.all(), required=False, empty_label="All customers"
    )


@admin.register(LedgerAccount)
class LedgerAccountAdmin(ReadOnlyAdmin):
    list_display = ("name", "customer", "quarter", "debit", "credit")
    list_filter = ("code", "customer")
    related = ("customer",)
    ordering = ("customer", "code", "quarter_index")

    @admin.display(description="Account", ordering="code")
    def name(self, account: LedgerAccount) -> str:
        return formats.words(account.code)

    @admin.display(description="Quarter", ordering="quarter_index")
    def quarter(self, account: LedgerAccount) -> str:
        return f"Q{account.quarter_index}" if account.quarter_index else "-"

    @admin.display(description="Debit", ordering="balance")
    def debit(self, account: LedgerAccount) -> str:
        return formats.money(account.balance) if account.balance > 0 else ""

    @admin.display(description="Credit", ordering="-balance")
    def credit(self, account: LedgerAccount) -> str:
        return formats.money(-account.balance) if account.balance < 0 else ""

    def get_urls(self) -> list[URLPattern]:
        page = self.act_path("trial-balance/", self.trial_balance, "trial_balance")
        return [page, *super().get_urls()]

    def page_of(self, request: HttpRequest, obj: LedgerAccount) -> pages.Page:
        latest = obj.postings.select_related("entry").order_by("-id")[:100]
        rows = [
            (
                pages.link(f"#{p.entry_id}", "admin:billing_journalentry_change", p.entry_id),
                pages.text(p.entry.code, small=p.entry.description),
                pages.on_day(p.entry.accounting_date),
                pages.nonzero(max(p.amount, ZERO)),
                pages.nonzero(max(-p.amount, ZERO)),
            )
            for p in latest
        ]
        side = "debit" if obj.balance >= 0 else "credit"
        return pages.Page(
            title=formats.words(obj.code),
            subtitle=str(obj.customer),
            facts=[
                ("Balance", pages.money(abs(obj.balance))),
                ("Side", pages.text(side)),
                ("Quarter", pages.text(f"Q{obj.quarter_index}" if obj.quarter_index else "-")),
                ("Commit", pages.code(obj.commit_id or "-")),
            ],
            tables=[
                pages.Table(
                    "Postings",
                    pages.columns("Entry", "What", "Accounting date", "#Debit", "#Credit"),
                    rows,
                    note="The latest 100.",
                )
            ],
        )

    def trial_balance(self, request: HttpRequest) -> HttpResponse:
        """The trial balance as of a date, of all customers or of one."""
        self.require_view(request)
        form = AsOfForm(request.GET or None)
        given = form.cleaned_data if form.is_bound and form.is_valid() else {}
        as_of: date | None = given.get("as_of")
        customer: Customer | None = given.get("customer")
        rows = ledger.trial_balance(as_of=as_of, customer_id=customer.pk if customer else None)
        debit: Decimal = sum((row.debit for row in rows), ZERO)
        credit: Decimal = sum((row.credit for row in rows), ZERO)
        page = pages.Page(
            title="Trial balance",
            subtitle=str(customer or "All customers"),
            form=form,
            form_method="get",
            form_submit="Show",
            notes=[f"As of the end of {as_of} (UTC)." if as_of else "Everything booked so far."],
            tables=[
                pages.Table(
                    "",
                    pages.columns("Account", "#Debit", "#Credit"),
                    [
                        (
                            pages.text(formats.words(row.code)),
                            pages.nonzero(row.debit),
                            pages.nonzero(row.credit),
                        )
                        for row in rows
                    ],
                    foot=(pages.text("Total"), pages.money(debit), pages.money(credit)),
                    note="Debits equal credits." if debit == credit else "NOT BALANCED",
                    empty="Nothing is booked.",
                )
            ],
        )
        return pages.render(request, page, opts=self.opts)
