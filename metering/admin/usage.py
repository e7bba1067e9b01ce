"""Usage that could not be rated, read-only: what waits for a price, and how it was resolved."""

from django.contrib import admin
from django.utils.safestring import SafeString

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
    list_display_links = None

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
