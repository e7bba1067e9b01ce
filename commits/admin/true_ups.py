"""True-ups: asked for by one person, looked at with their effect, decided by another."""

from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import (
    actor_of,
    attempt,
    is_controller,
    push_soon,
    refusal,
    require_controller,
)
from billing.admin.base import RecordAdmin
from billing.domain.errors import BillingError
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.admin.forms import TrueUpForm
from commits.models import RequestState, TrueUp
from commits.services import previews, true_ups
from commits.services.true_ups import TrueUpRequest
from commits.web import outlook


@admin.register(TrueUp)
class TrueUpAdmin(RecordAdmin):
    list_display = (
        "customer", "increase", "reach", "state", "requested", "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "commit__customer")
    search_fields = ("commit__customer__key", "commit__customer__name", "requested_by")
    related = ("commit__customer",)
    form_class = TrueUpForm
    add_title = "Ask for a true-up"
    add_note = "An increase of the commit. Another finance user decides, seeing its effect."
    add_submit = "Ask for it"

    @admin.display(description="Customer", ordering="commit__customer__name")
    def customer(self, true_up: TrueUp) -> str:
        return true_up.commit.customer.name

    @admin.display(description="Increase a quarter", ordering="amount")
    def increase(self, true_up: TrueUp) -> SafeString | str:
        return formats.money(true_up.amount)

    @admin.display(description="Quarters", ordering="from_quarter")
    def reach(self, true_up: TrueUp) -> str:
        return f"Q{true_up.from_quarter} to Q{true_up.through_quarter}"

    @admin.display(description="Asked (UTC)", ordering="requested_at")
    def requested(self, true_up: TrueUp) -> str:
        return formats.instant(true_up.requested_at)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.act_path("<uuid:true_up_id>/approve/", self.approve, "approve"),
            self.act_path("<uuid:true_up_id>/reject/", self.reject, "reject"),
            *super().get_urls(),
        ]

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        if not isinstance(form, TrueUpForm):
            return None
        try:
            made = true_ups.request_true_up(
                commit_id=form.cleaned_data["commit"].pk,
                request=form.wanted(),
                actor=actor_of(request),
                now=clock.now(),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, "Asked for. Another finance user decides.")
        return self.back_to(made)

    def approve(self, request: HttpRequest, true_up_id: UUID) -> HttpResponse:
        require_controller(request)
        true_up = self.seen(request, str(true_up_id))
        if request.method == "POST" and attempt(
            request,
            lambda: true_ups.approve_true_up(
                true_up_id=true_up.pk, actor=actor_of(request), now=clock.now()
            ),
            "The true-up is approved and in force.",
        ):
            push_soon()
        return self.back_to(true_up)

    def reject(self, request: HttpRequest, true_up_id: UUID) -> HttpResponse:
        require_controller(request)
        true_up = self.seen(request, str(true_up_id))
        if request.method == "POST":
            attempt(
                request,
                lambda: true_ups.reject_true_up(
                    true_up_id=true_up.pk,
                    actor=actor_of(request),
                    now=clock.now(),
                    reason=request.POST.get("reason", "")[:300],
                ),
                "The true-up is rejected.",
            )
        return self.back_to(true_up)

    def page_of(self, request: HttpRequest, obj: TrueUp) -> pages.Page:
        waiting = obj.state == RequestState.REQUESTED
        buttons = [
            pages.Button("Approve", self.url_of("approve", obj.pk)),
            pages.Button("Reject", self.url_of("reject", obj.pk), tone="danger", asks="reason"),
        ]
        tables, warnings = self._effect(obj) if waiting else ([], [])
        commit = pages.link(str(obj.commit_id)[:8], "admin:commits_commit_change", obj.commit_id)
        return pages.Page(
            title=f"True-up of {formats.dollars(obj.amount)} a quarter",
            subtitle=obj.commit.customer.name,
            warnings=warnings,
            facts=[
                ("State", pages.state(obj.state)),
                ("Commit", commit),
                ("Increase a quarter", pages.money(obj.amount)),
                ("Quarters", pages.text(self.reach(obj))),
                ("Better discount", pages.text(formats.percent(obj.discount) or "unchanged")),
                ("Discount from", pages.instant(obj.effective_at)),
                ("Billed", pages.text("at approval" if obj.bill_now else "at the close")),
                ("Asked", pages.text(formats.instant(obj.requested_at), small=obj.requested_by)),
                ("Decided", pages.text(formats.instant(obj.decided_at), small=obj.decided_by)),
                ("Reason", pages.text(obj.reason or "-")),
            ],
            buttons=buttons if waiting and is_controller(request) else [],
            tables=tables,
        )

    def _effect(self, true_up: TrueUp) -> tuple[list[pages.Table], list[str]]:
        """What it would change if it were approved now."""
        wanted = TrueUpRequest(
            amount=true_up.amount,
            from_quarter=true_up.from_quarter,
            through_quarter=true_up.through_quarter,
            discount=true_up.discount,
            effective_at=true_up.effective_at,
            bill_now=true_up.bill_now,
        )
        try:
            preview = previews.preview_true_up(
                commit_id=true_up.commit_id, request=wanted, now=clock.now()
            )
        except BillingError as error:
            return [], [f"It cannot be approved as it stands: {refusal(error)}"]
        rows = [
            (pages.text(what), pages.Cell(before, number=True), pages.Cell(after, number=True))
            for what, before, after in outlook.rows(preview)
        ]
        headings = pages.columns("If approved now", "#Without", "#With")
        return [pages.Table("Effect", headings, rows, note=preview.words)], []
