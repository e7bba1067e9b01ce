"""Usage that could not be rated, read-only: what waits for a price, and how it was resolved."""

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin
from billing.templatetags import ledger_formats as formats
from metering.models import UnratedUsage


@admin.register(UnratedUsage)
class UnratedUsageAdmin(ReadOnlyAdmin):
    list_display = (
        "occurred", "customer", "model", "mode", "meter", "amount", "why", "recorded", "outcome",
    )  # fmt: skip
    list_filter = (
        ("resolved_at", admin.EmptyFieldListFilter), "reason", "resolution", "customer",
    )  # fmt: skip
    search_fields = ("model", "customer__key")
    related = ("customer",)

    @admin.display(description="Occurred (UTC)", ordering="occurred_at")
    def occurred(self, row: UnratedUsage) -> str:
        return formats.stamp(row.occurred_at)

    @admin.display(description="Quantity", ordering="quantity")
    def amount(self, row: UnratedUsage) -> SafeString | str:
        return formats.quantity(row.quantity)

    @admin.display(description="Why", ordering="reason")
    def why(self, row: UnratedUsage) -> str:
        return row.get_reason_display()

    @admin.display(description="Recorded (UTC)", ordering="recorded_at")
    def recorded(self, row: UnratedUsage) -> str:
        return formats.stamp(row.recorded_at)

    @admin.display(description="Now", ordering="resolved_at")
    def outcome(self, row: UnratedUsage) -> str:
        if row.resolved_at is None:
            return "waiting"
        return f"{row.get_resolution_display()} {formats.instant(row.resolved_at)}"

    def page_of(self, request: HttpRequest, obj: UnratedUsage) -> pages.Page:
        return pages.Page(
            title=f"Unrated usage of {obj.model}",
            subtitle=obj.customer.name,
            facts=[
                ("Now", pages.text(self.outcome(obj))),
                ("Why", pages.text(self.why(obj))),
                ("Occurred", pages.instant(obj.occurred_at)),
                ("Mode", pages.text(formats.words(obj.mode))),
                ("Meter", pages.text(formats.words(obj.meter))),
                ("Quantity", pages.count(obj.quantity)),
                ("Recorded", pages.instant(obj.recorded_at)),
            ],
            links=[
                pages.Link("Add a list price", reverse("admin:metering_price_add")),
                pages.Link(
                    "Ask for a private price", reverse("admin:metering_privatepricerequest_add")
                ),
                pages.Link("Ask to waive it", reverse("admin:metering_waiver_add")),
            ]
            if obj.resolved_at is None
            else [],
        )
