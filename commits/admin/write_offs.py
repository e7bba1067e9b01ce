"""Write-offs: voided invoices that are given up, asked for by one and approved by another."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import require_controller
from billing.admin.forms import PlainForm
from billing.admin.requests import RequestAdmin
from billing.domain.invoice_entries import Withdrawn
from billing.models import Invoice, InvoiceState, RequestState, WriteOff
from billing.services import clock
from billing.services import write_offs as requests
from billing.templatetags import ledger_formats as formats
from commits.services import write_offs

if TYPE_CHECKING:
    _ModelChoice = forms.ModelChoiceField[Invoice]
else:
    _ModelChoice = forms.ModelChoiceField


class VoidInvoiceField(_ModelChoice):
    """Void invoices to choose from, told by more than their number."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj}, {obj.customer.name}, {formats.cents(obj.total_cents)}"


class WriteOffForm(PlainForm):
    invoice = VoidInvoiceField(
        Invoice.objects.filter(state=InvoiceState.VOID)
        .exclude(write_offs__state__in=[RequestState.REQUESTED, RequestState.APPROVED])
        .select_related("customer"),
        help_text="Void, and not issued again. Void an uncollectible one first.",
    )
    reason = forms.CharField(max_length=requests.REASON_LENGTH)


@admin.register(WriteOff)
class WriteOffAdmin(RequestAdmin):
    list_display = (
        "customer", "invoice", "total", "bad_debt", "reason", "shown_state", "requested",
        "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "invoice__customer")
    search_fields = ("invoice__number", "invoice__customer__key", "reason")
    related = ("invoice__customer",)
    form_class = WriteOffForm
    add_title = "Ask to write off an invoice"
    add_note = (
        "What was used of it becomes a bad debt; what was not used can be drawn no more. It cannot "
        "be issued again afterwards. Another finance user decides."
    )

    @admin.display(description="Customer", ordering="invoice__customer__name")
    def customer(self, asked: WriteOff) -> str:
        return asked.invoice.customer.name

    @admin.display(description="Amount", ordering="total_cents")
    def total(self, asked: WriteOff) -> SafeString:
        return format_html('<span class="money">{}</span>', formats.cents(asked.total_cents))

    @admin.display(description="Bad debt")
    def bad_debt(self, asked: WriteOff) -> SafeString | str:
        if asked.state != RequestState.APPROVED:
            return "-"
        return format_html('<span class="money">{}</span>', formats.cents(asked.bad_debt_cents))

    # --- asking, with a preview ---------------------------------------------------------------
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """A POST shows what would be given up; one with `ask` stores the request."""
        require_controller(request)
        form = WriteOffForm(request.POST or None, initial={"invoice": request.GET.get("invoice")})
        facts: list[tuple[str, pages.Cell]] = []
        if request.method == "POST" and form.is_valid():
            if "ask" in request.POST:
                answer = self.record(request, form)
                if answer is not None:
                    return answer
            if not form.errors:
                facts = _effect(form.cleaned_data["invoice"])
        page = pages.Page(
            title=self.add_title,
            notes=[self.add_note],
            form=form,
            form_submit="Show the effect",
            form_also=pages.Submit("ask", self.add_submit) if facts else None,
            facts=facts,
        )
        return pages.render(request, page, opts=self.opts, status=400 if form.errors else 200)

    def ask(self, form: Any, actor: str) -> WriteOff:
        return requests.request_write_off(
            invoice_id=form.cleaned_data["invoice"].pk,
            reason=form.cleaned_data["reason"],
            actor_name=actor,
            now=clock.now(),
        )

    # --- deciding -----------------------------------------------------------------------------
    def approve(self, pk: UUID, actor: str) -> None:
        write_offs.approve_write_off(write_off_id=pk, actor_name=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        requests.reject_write_off(write_off_id=pk, actor_name=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: WriteOff) -> pages.Page:
        waits, done = obj.state == RequestState.REQUESTED, obj.state == RequestState.APPROVED
        withdrawn = [Withdrawn(UUID(key), index, cents) for key, index, cents in obj.withdrawn]
        return pages.Page(
            title=f"Write-off of {formats.cents(obj.total_cents)}",
            subtitle=obj.invoice.customer.name,
            facts=[
                (
                    "Invoice",
                    pages.link(obj.invoice, "admin:billing_invoice_change", obj.invoice_id),
                ),
                ("Reason", pages.text(obj.reason)),
                *self.course_of(obj),
                *(_given_up(obj.total_cents, withdrawn) if done else []),
            ],
            tables=[pages.effect(_effect(obj.invoice))] if waits else [],
            buttons=self.buttons_for(request, obj),
        )


def _effect(invoice: Invoice) -> list[tuple[str, pages.Cell]]:
    return _given_up(invoice.total_cents, write_offs.preview_write_off(invoice=invoice))


def _given_up(cents: int, withdrawn: Iterable[Withdrawn]) -> list[tuple[str, pages.Cell]]:
    """What was used, and where the money stands that was not."""
    parts = list(withdrawn)
    return [
        ("Bad debt", pages.cents(cents - sum(part.cents for part in parts))),
        *(
            (f"Unused in Q{part.quarter_index}, withdrawn", pages.cents(part.cents))
            for part in parts
        ),
    ]
