"""Closes as stored, read-only, and the queue of those that need a human."""

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin
from billing.templatetags import ledger_formats as formats
from commits.admin.close_pages import reason_words
from commits.admin.home import closes_that_wait
from commits.models import Close, CloseState


@admin.register(Close)
class CloseAdmin(ReadOnlyAdmin):
    list_display = (
        "what",
        "shown_state",
        "planned",
        "planned_by",
        "approved_by",
        "posted",
        "total",
    )
    list_filter = ("state", "quarter__commit__customer")
    related = ("quarter__commit__customer",)

    @admin.display(description="Close")
    def what(self, close: Close) -> str:
        return f"{close.quarter.commit.customer.name}, Q{close.quarter.index}"

    @admin.display(description="State", ordering="state")
    def shown_state(self, close: Close) -> str:
        return close.get_state_display()

    @admin.display(description="Planned (UTC)", ordering="planned_at")
    def planned(self, close: Close) -> str:
        return formats.stamp(close.planned_at)

    @admin.display(description="Posted (UTC)", ordering="posted_at")
    def posted(self, close: Close) -> str:
        return formats.stamp(close.posted_at) or "-"

    @admin.display(description="Invoice total")
    def total(self, close: Close) -> str:
        return formats.cents(close.plan["total_cents"])

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.queue)
        return [path("queue/", view, name="commits_close_queue"), *super().get_urls()]

    def queue(self, request: HttpRequest) -> HttpResponse:
        """Planned closes that no rule may let pass, oldest first, each with its reason."""
        self.require_view(request)
        rows = [self._row(close) for close in closes_that_wait()]
        page = pages.Page(
            title="Closes that need a human",
            notes=["Due, planned, and held back: each says why. Open one to look and approve."],
            tables=[
                pages.Table(
                    "",
                    pages.columns("Close", "Why", "Quarter ended", "#Overage", "#Invoice total"),
                    rows,
                    empty="None. Every close that is due has passed by its rule.",
                )
            ],
        )
        return pages.render(request, page, opts=self.opts)

    def _row(self, close: Close) -> tuple[pages.Cell, ...]:
        quarter = close.quarter
        return (
            pages.link(
                self.what(close), "admin:commits_commit_close", quarter.commit_id, quarter.index
            ),
            pages.text(". ".join(reason_words(reason) for reason in close.needs_human)),
            pages.instant(quarter.ends_at),
            pages.money(Decimal(close.plan["overage"])),
            pages.cents(close.plan["total_cents"]),
        )

    def page_of(self, request: HttpRequest, obj: Close) -> pages.Page:
        """What was planned and posted, as it was stored."""
        plan: dict[str, Any] = obj.plan
        money = ("granted", "rolled_in", "used", "overage", "rolled_out", "breakage", "residue")
        keys = ("amount", "drawn", "rolled_out", "breakage")
        grants = [
            (
                pages.text(place),
                pages.text(formats.words(grant["kind"]), small=grant["ref"]),
                *(pages.money(Decimal(grant[key])) for key in keys),
            )
            for place, grant in enumerate(plan["grants"], start=1)
        ]
        lines = [
            (
                pages.text(f"{formats.words(line['kind'])}", small=line["model"]),
                pages.text(" ".join(filter(None, (line["mode"], line["meter"])))),
                pages.count(line["quantity"]),
                pages.cents(line["cents"]),
            )
            for line in plan["lines"]
        ]
        commit = pages.link(self.what(obj), "admin:commits_commit_change", obj.quarter.commit_id)
        return pages.Page(
            title=f"Close of {self.what(obj)}",
            subtitle=f"revision {obj.revision}",
            warnings=[reason_words(reason) for reason in obj.needs_human]
            if obj.state == CloseState.PLANNED
            else [],
            facts=[
                ("State", pages.state(obj.state)),
                ("Commit", commit),
                *((formats.words(key), pages.money(Decimal(plan[key]))) for key in money),
                ("Invoice total", pages.cents(plan["total_cents"])),
                ("Planned", pages.text(formats.instant(obj.planned_at), small=obj.planned_by)),
                ("Approved", pages.text(formats.instant(obj.approved_at), small=obj.approved_by)),
                ("Posted", pages.instant(obj.posted_at)),
                ("Digest", pages.code(obj.digest)),
            ],
            tables=[
                pages.Table(
                    "Grants, in draw order",
                    pages.columns(
                        "Place", "Grant", "#Amount", "#Drawn", "#Rolled out", "#Breakage"
                    ),
                    grants,
                ),
                pages.Table(
                    "Invoice lines",
                    pages.columns("Line", "Usage", "#Quantity", "#Amount"),
                    lines,
                    empty="None.",
                ),
            ],
        )
