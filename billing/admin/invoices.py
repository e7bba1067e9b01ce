"""Invoices, read-only: lines in cents, how far they came on their way to Stripe, and why not."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin
from billing.admin.invoice_acts import InvoiceActs
from billing.models import Invoice, StripeEvent
from billing.templatetags import ledger_formats as formats


@admin.register(Invoice)
class InvoiceAdmin(InvoiceActs):
    list_display = (
        "__str__", "customer", "occasion_words", "shown_state", "total", "issued", "push",
        "stripe_link",
    )  # fmt: skip
    list_filter = ("state", "push_step", "push_blocked", "occasion", "customer")
    search_fields = ("number", "stripe_id", "customer__key", "customer__name")
    related = ("customer",)

    @admin.display(description="Occasion", ordering="occasion")
    def occasion_words(self, invoice: Invoice) -> str:
        quarter = f" Q{invoice.occasion_ref}" if invoice.occasion == "close" else ""
        revision = f", revision {invoice.revision}" if invoice.revision > 1 else ""
        return f"{invoice.get_occasion_display()}{quarter}{revision}"

    @admin.display(description="State", ordering="state")
    def shown_state(self, invoice: Invoice) -> str:
        return invoice.get_state_display()

    @admin.display(description="Total", ordering="total_cents")
    def total(self, invoice: Invoice) -> SafeString:
        return format_html('<span class="money">{}</span>', formats.cents(invoice.total_cents))

    @admin.display(description="Issued (UTC)", ordering="issued_at")
    def issued(self, invoice: Invoice) -> str:
        return formats.stamp(invoice.issued_at) or "-"

    @admin.display(description="Push", ordering="push_step")
    def push(self, invoice: Invoice) -> str:
        trouble = " - blocked" if invoice.push_blocked else " - failing"
        return invoice.get_push_step_display() + (trouble if invoice.push_error else "")

    @admin.display(description="Stripe")
    def stripe_link(self, invoice: Invoice) -> SafeString | str:
        if not invoice.hosted_url:
            return invoice.stripe_id or "-"
        return format_html(
            '<a href="{}" rel="noopener" target="_blank">{}</a>',
            invoice.hosted_url,
            invoice.stripe_id or "open",
        )

    def get_urls(self) -> list[URLPattern]:
        return [*self.act_urls(), *super().get_urls()]

    def page_of(self, request: HttpRequest, obj: Invoice) -> pages.Page:
        lines = list(obj.lines.all())
        rows = [
            (
                pages.link(line.description, "admin:commits_explain_line", line.pk),
                pages.text(line.get_kind_display(), small=f"Q{line.quarter_index}"),
                pages.count(line.quantity),
                pages.rate(line.rate),
                pages.cents(line.amount_cents),
            )
            for line in lines
        ]
        total = (
            pages.text("Total"), pages.text(""), pages.text(""), pages.text(""),
            pages.cents(obj.total_cents),
        )  # fmt: skip
        blocked = "A permanent failure: a person must look before it is tried again."
        return pages.Page(
            title=f"Invoice {obj}",
            subtitle=str(obj.customer),
            warnings=[
                *([blocked] if obj.push_blocked else []),
                *([f"The last try to push it failed: {obj.push_error}"] if obj.push_error else []),
            ],
            facts=self._facts(obj),
            buttons=self.buttons_for(request, obj),
            links=self.links_for(request, obj),
            tables=[
                pages.Table(
                    "Lines",
                    pages.columns("Description", "Kind", "#Quantity", "#Rate each", "#Amount"),
                    rows,
                    foot=total,
                    note="The amount decides; quantity and rate are for information. A line "
                    "leads to its explanation, down to the events.",
                ),
                *self._notes(obj),
                *self._write_offs(obj),
                self._entries(obj),
                self._calls(obj),
            ],
        )

    def _facts(self, invoice: Invoice) -> list[tuple[str, pages.Cell]]:
        hosted = pages.Cell(invoice.hosted_url or "-", href=invoice.hosted_url)
        facts = [
            ("State", pages.state(invoice.state)),
            ("Total", pages.cents(invoice.total_cents)),
            ("Occasion", pages.text(self.occasion_words(invoice))),
            (
                "Commit",
                pages.link(
                    str(invoice.commit_id)[:8], "admin:commits_commit_change", invoice.commit_id
                ),
            ),
            ("Created", pages.instant(invoice.created_at)),
            ("Issued", pages.instant(invoice.issued_at)),
            ("Due", pages.instant(invoice.due_at)),
            ("Paid", pages.instant(invoice.paid_at)),
            ("Voided", pages.instant(invoice.voided_at)),
            ("Stripe id", pages.code(invoice.stripe_id or "-")),
            ("Hosted page", hosted),
            ("Pushed up to", pages.text(invoice.get_push_step_display())),
            ("Tries", pages.count(invoice.push_attempts)),
            ("Next try (real time)", pages.instant(invoice.push_next_at)),
        ]
        if invoice.tax_cents:
            facts.insert(2, ("of which tax", pages.cents(invoice.tax_cents)))
        return facts

    def _notes(self, invoice: Invoice) -> list[pages.Table]:
        rows = [
            (
                pages.link(note, "admin:billing_creditnote_change", note.pk, small=note.reason),
                pages.text(note.get_kind_display()),
                pages.state(note.state),
                pages.cents(note.total_cents),
            )
            for note in invoice.credit_notes.all()
        ]
        headings = pages.columns("Credit note", "Kind", "State", "#Amount")
        return [pages.Table("Credit notes", headings, rows)] if rows else []

    def _write_offs(self, invoice: Invoice) -> list[pages.Table]:
        rows = [
            (
                pages.link(one.reason, "admin:billing_writeoff_change", one.pk),
                pages.state(one.state),
                pages.cents(one.bad_debt_cents),
                pages.cents(one.unused_cents),
            )
            for one in invoice.write_offs.all()
        ]
        headings = pages.columns("Write-off", "State", "#Bad debt", "#Unused, withdrawn")
        return [pages.Table("Write-offs", headings, rows)] if rows else []

    def _entries(self, invoice: Invoice) -> pages.Table:
        return pages.Table(
            "Journal entries",
            pages.columns("Entry", "Kind", "Accounting date", "Booked at"),
            [
                (
                    pages.link(f"#{e.pk}", "admin:billing_journalentry_change", e.pk),
                    pages.text(e.code, small=e.description),
                    pages.on_day(e.accounting_date),
                    pages.instant(e.booked_at),
                )
                for e in invoice.entries.order_by("pk")
            ],
            empty="None yet: an invoice is booked when it is finalized.",
        )

    def _calls(self, invoice: Invoice) -> pages.Table:
        return pages.Table(
            "Calls to Stripe",
            pages.columns("Step", "#Epoch", "First sent (real time)", "Answered", "Answer"),
            [
                (
                    pages.text(formats.words(call.step)),
                    pages.count(call.epoch),
                    pages.instant(call.first_sent_at),
                    pages.instant(call.answered_at),
                    pages.text(call.answer),
                )
                for call in invoice.stripe_calls.order_by("pk")
            ],
        )


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "type", "object_id", "received", "applied", "attempts", "error")
    list_filter = ("type", ("applied_at", admin.EmptyFieldListFilter))
    search_fields = ("event_id", "object_id")

    @admin.display(description="Received (UTC)", ordering="received_at")
    def received(self, event: StripeEvent) -> str:
        return formats.stamp(event.received_at)

    @admin.display(description="Applied (UTC)", ordering="applied_at")
    def applied(self, event: StripeEvent) -> str:
        return formats.stamp(event.applied_at) or "waiting"
