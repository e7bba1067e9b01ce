"""The price book and the meters: added through the service, never edited."""

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import actor_of, refusal, user_of
from billing.admin.base import RecordAdmin
from billing.admin.forms import PlainForm, UtcHourField
from billing.domain.errors import BillingError
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from metering.domain.meters import Mode
from metering.models import Meter, Price
from metering.services import price_book


class PriceForm(PlainForm):
    model = forms.CharField(max_length=200, label="Model or GPU sku")
    mode = forms.ChoiceField(choices=[(mode.value, formats.words(mode.value)) for mode in Mode])
    meter = forms.ModelChoiceField(Meter.objects.all())
    price = forms.DecimalField(
        help_text="Dollars per million tokens, per GPU-hour, or per unit of the meter."
    )
    effective_at = UtcHourField(label="In force from")


@admin.register(Price)
class PriceAdmin(RecordAdmin):
    list_display = (
        "model", "mode", "meter", "shown_price", "per", "from_instant", "seen_by", "created_by",
    )  # fmt: skip
    list_filter = ("mode", "meter", "effective_at", "customer")
    search_fields = ("model", "customer__key")
    related = ("meter", "customer")
    form_class = PriceForm
    add_title = "New list price"
    add_note = (
        "A list price before any discount. It replaces the one before from its instant on; a price "
        "that would change an amount already rated is refused."
    )

    @admin.display(description="List price", ordering="price")
    def shown_price(self, price: Price) -> SafeString:
        return format_html(
            '<span class="money" title="{}">{}</span>', price.price, formats.exact(price.price)
        )

    @admin.display(description="Per")
    def per(self, price: Price) -> str:
        meter = price.meter
        return formats.per_words(meter.key, meter.unit, meter.units_per_price)

    @admin.display(description="Seen by", ordering="customer__key")
    def seen_by(self, price: Price) -> str:
        return f"{price.customer.name} alone" if price.customer else "everybody"

    @admin.display(description="In force from (UTC)", ordering="effective_at")
    def from_instant(self, price: Price) -> str:
        return formats.stamp(price.effective_at)

    def page_of(self, request: HttpRequest, obj: Price) -> pages.Page:
        price = pages.text(formats.exact(obj.price), small=f"per {self.per(obj)}")
        return pages.Page(
            title=f"List price of {obj.model}",
            subtitle=f"Seen by {self.seen_by(obj)}",
            facts=[
                ("List price", price),
                ("Mode", pages.text(formats.words(obj.mode))),
                ("Meter", pages.text(formats.words(obj.meter_id))),
                ("In force from", pages.instant(obj.effective_at)),
                ("Source", pages.text(obj.source or "-")),
                ("Added", pages.text(formats.instant(obj.created_at), small=obj.created_by)),
            ],
        )

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        given = form.cleaned_data
        try:
            price_book.add_price(
                model=given["model"],
                mode=given["mode"],
                meter=given["meter"].key,
                price=given["price"],
                effective_at=given["effective_at"],
                actor=user_of(request),
                actor_name=actor_of(request),
                now=clock.now(),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, f"The price of {given['model']} is in the book.")
        return self.back_to_list()


class MeterForm(PlainForm):
    key = forms.CharField(max_length=64, help_text="Lower case, such as images.")
    unit = forms.CharField(max_length=32, help_text="One of it: image, second, request.")


@admin.register(Meter)
class MeterAdmin(RecordAdmin):
    list_display = ("key", "unit_words", "quoted")
    form_class = MeterForm
    add_title = "New meter"
    add_note = "Priced per single unit. Usage may carry it from now on."

    @admin.display(description="One of it", ordering="unit")
    def unit_words(self, meter: Meter) -> str:
        return formats.words(meter.unit)

    @admin.display(description="Priced per", ordering="units_per_price")
    def quoted(self, meter: Meter) -> str:
        return formats.per_words(meter.key, meter.unit, meter.units_per_price)

    def page_of(self, request: HttpRequest, obj: Meter) -> pages.Page:
        prices = reverse("admin:metering_price_changelist")
        return pages.Page(
            title=f"Meter {obj.key}",
            facts=[
                ("One of it", pages.text(self.unit_words(obj))),
                ("Priced per", pages.text(self.quoted(obj))),
                ("Prices", pages.count(obj.prices.count())),
            ],
            links=[pages.Link("Its prices", f"{prices}?meter__key__exact={obj.key}")],
        )

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        given = form.cleaned_data
        try:
            price_book.add_meter(
                key=given["key"],
                unit=given["unit"],
                actor=user_of(request),
                actor_name=actor_of(request),
                now=clock.now(),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, f"The meter {given['key']} is defined.")
        return self.back_to_list()
