"""Private prices: asked for by one finance user, put into the price book by another."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from billing.admin import pages
from billing.admin.requests import RequestAdmin
from billing.models import Customer
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from metering.admin.prices import PriceForm
from metering.models import PrivatePriceRequest
from metering.services import private_prices
from metering.services.price_book import NewPrice


class PrivatePriceForm(PriceForm):
    customer = forms.ModelChoiceField(Customer.objects.all())

    field_order = ("customer",)


@admin.register(PrivatePriceRequest)
class PrivatePriceAdmin(RequestAdmin):
    list_display = (
        "customer_name", "model", "mode", "meter", "shown_price", "from_instant", "shown_state",
        "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "customer")
    search_fields = ("model", "customer__key", "customer__name")
    related = ("customer", "meter")
    form_class = PrivatePriceForm
    add_title = "Ask for a private price"
    add_note = (
        "A list price that this customer alone sees, such as that of its fine-tuned model. The "
        "discount of its commit applies to it. Another finance user decides."
    )

    @admin.display(description="Customer", ordering="customer__name")
    def customer_name(self, asked: PrivatePriceRequest) -> str:
        return asked.customer.name

    @admin.display(description="List price", ordering="price")
    def shown_price(self, asked: PrivatePriceRequest) -> str:
        return formats.exact(asked.price)

    @admin.display(description="In force from (UTC)", ordering="effective_at")
    def from_instant(self, asked: PrivatePriceRequest) -> str:
        return formats.stamp(asked.effective_at)

    def ask(self, form: Any, actor: str) -> PrivatePriceRequest:
        given = form.cleaned_data
        return private_prices.request_private_price(
            customer=given["customer"],
            price=NewPrice(
                given["model"],
                given["mode"],
                given["meter"].key,
                given["price"],
                given["effective_at"],
            ),
            actor_name=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        private_prices.approve_private_price(request_id=pk, actor_name=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        private_prices.reject_private_price(
            request_id=pk, actor_name=actor, now=clock.now(), why=reason
        )

    def page_of(self, request: HttpRequest, obj: PrivatePriceRequest) -> pages.Page:
        meter = obj.meter
        per = formats.per_words(meter.key, meter.unit, meter.units_per_price)
        return pages.Page(
            title=f"Private price for {obj.model}",
            subtitle=obj.customer.name,
            facts=[
                ("List price", pages.text(formats.exact(obj.price), small=f"per {per}")),
                ("Mode", pages.text(formats.words(obj.mode))),
                ("Meter", pages.text(formats.words(meter.key))),
                ("In force from", pages.instant(obj.effective_at)),
                *self.course_of(obj),
            ],
            buttons=self.buttons_for(request, obj),
        )
