"""What finance may do with an invoice: void it, reissue it, or let a blocked push try again."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse

from billing.admin import pages
from billing.admin.access import (
    actor_of,
    attempt,
    is_controller,
    push_soon,
    require_controller,
    user_of,
)
from billing.admin.base import ReadOnlyAdmin
from billing.models import Invoice, InvoiceState
from billing.services import clock, invoice_voiding
from billing.services.credit_notes import CREDITABLE

VOIDABLE = (InvoiceState.DRAFT, InvoiceState.FINALIZED, InvoiceState.UNCOLLECTIBLE)


class InvoiceActs(ReadOnlyAdmin):
    """Mixed into the admin of invoices."""

    def act_urls(self) -> list[URLPattern]:
        return [
            self.act_path("<uuid:pk>/void/", self.void, "void"),
            self.act_path("<uuid:pk>/reissue/", self.reissue, "reissue"),
            self.act_path("<uuid:pk>/unblock/", self.unblock, "unblock"),
        ]

    def buttons_for(self, request: HttpRequest, invoice: Invoice) -> list[pages.Button]:
        """The acts that make sense in the invoice's state; the service decides."""
        if not is_controller(request):
            return []
        found = []
        if invoice.push_blocked or invoice.push_error:
            found.append(pages.Button("Try the push again", self.url_of("unblock", invoice.pk)))
        if invoice.state in VOIDABLE:
            found.append(
                pages.Button("Void", self.url_of("void", invoice.pk), tone="danger", asks="reason")
            )
        if invoice.state == InvoiceState.VOID:
            found.append(
                pages.Button(
                    "Reissue",
                    self.url_of("reissue", invoice.pk),
                    note="The next revision, with the same lines.",
                )
            )
        return found

    def links_for(self, request: HttpRequest, invoice: Invoice) -> list[pages.Link]:
        """Where the rest of what finance does with an invoice is asked for."""
        if not is_controller(request):
            return []
        asks = []
        if invoice.state in CREDITABLE:
            asks.append(("Ask for a credit note", "billing_creditnote_add"))
        if invoice.state == InvoiceState.VOID:
            asks.append(("Ask to write it off", "billing_writeoff_add"))
        return [
            pages.Link(title, f"{reverse(f'admin:{page}')}?invoice={invoice.pk}")
            for title, page in asks
        ]

    def void(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        reason = request.POST.get("reason", "")[:300]
        return self._act(
            request,
            pk,
            lambda who: invoice_voiding.void_invoice(invoice_id=pk, reason=reason, **who),
            "The invoice is void. Its lines stay billed until they are reissued or written off.",
        )

    def reissue(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._act(
            request,
            pk,
            lambda who: invoice_voiding.reissue_invoice(invoice_id=pk, **who),
            "The next revision is drafted.",
        )

    def unblock(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        return self._act(
            request,
            pk,
            lambda who: invoice_voiding.unblock_invoice(invoice_id=pk, **who),
            "It is tried again.",
        )

    def _act(
        self, request: HttpRequest, pk: UUID, act: Callable[[dict[str, Any]], Any], done: str
    ) -> HttpResponse:
        require_controller(request)
        invoice = self.seen(request, str(pk))
        who = {"actor": user_of(request), "actor_name": actor_of(request), "now": clock.now()}
        if request.method == "POST" and attempt(request, lambda: act(who), done):
            push_soon()
        return self.back_to(invoice)
