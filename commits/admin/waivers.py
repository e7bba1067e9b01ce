"""Waivers of usage without a price: asked for by one finance user, decided by another."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.forms import PlainForm
from billing.admin.requests import RequestAdmin
from billing.models import Customer
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from metering.models import Waiver
from metering.services import waivers

SHOWN = 100


class WaiverForm(PlainForm):
    customer = forms.ModelChoiceField(Customer.objects.all())
    model = forms.CharField(
        max_length=200, label="Model or GPU sku", help_text="All that waits of it now."
    )
    reason = forms.CharField(max_length=300, help_text="Why nobody shall pay for it.")


@admin.register(Waiver)
class WaiverAdmin(RequestAdmin):
    list_display = (
        "customer_name", "reason", "how_many", "shown_state", "requested", "requested_by",
        "decided_by",
    )  # fmt: skip
    list_filter = ("state", "customer")
    search_fields = ("customer__key", "reason")
    related = ("customer",)
    form_class = WaiverForm
    add_title = "Ask to waive usage without a price"

    @admin.display(description="Customer", ordering="customer__name")
    def customer_name(self, waiver: Waiver) -> str:
        return waiver.customer.name

    @admin.display(description="Quantities")
    def how_many(self, waiver: Waiver) -> SafeString | str:
        return formats.quantity(waiver.quantities.count())

    def ask(self, form: Any, actor: str) -> Waiver:
        given = form.cleaned_data
        return waivers.request_waiver(
            customer=given["customer"],
            model=given["model"],
            reason=given["reason"],
            actor_name=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        waivers.approve_waiver(waiver_id=pk, actor_name=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        waivers.reject_waiver(waiver_id=pk, actor_name=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: Waiver) -> pages.Page:
        rows = [
            (
                pages.instant(row.occurred_at),
                pages.text(row.model, small=f"{row.mode} {row.meter}"),
                pages.count(row.quantity),
                pages.text(row.get_reason_display()),
                pages.text(row.get_resolution_display() or "waiting"),
            )
            for row in obj.quantities.order_by("occurred_at", "pk")[:SHOWN]
        ]
        return pages.Page(
            title="Waiver of usage without a price",
            subtitle=obj.customer.name,
            facts=[
                ("Reason", pages.text(obj.reason)),
                ("Quantities", pages.count(obj.quantities.count())),
                *self.course_of(obj),
            ],
            tables=[
                pages.Table(
                    "Quantities",
                    pages.columns("Occurred", "Model", "#Quantity", "Why unrated", "Now"),
                    rows,
                    note=f"The first {SHOWN}. What was rated or voided meanwhile stays so.",
                )
            ],
            buttons=self.buttons_for(request, obj),
        )
