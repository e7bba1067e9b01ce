"""True-ups: asked for by one person, looked at with their effect, decided by another."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import refusal
from billing.domain.errors import BillingError
from billing.models import RequestState
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.admin.forms import TrueUpForm
from commits.admin.requests import CommitRequestAdmin
from commits.models import TrueUp
from commits.services import previews, true_ups
from commits.services.true_ups import TrueUpRequest
from commits.web import outlook


@admin.register(TrueUp)
class TrueUpAdmin(CommitRequestAdmin):
    list_display = (
        "customer", "increase", "reach", "shown_state", "requested", "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "commit__customer")
    search_fields = ("commit__customer__key", "commit__customer__name", "requested_by")
    form_class = TrueUpForm
    add_title = "Ask for a true-up"
    add_note = "An increase of the commit. Another finance user decides, seeing its effect."

    @admin.display(description="Increase a quarter", ordering="amount")
    def increase(self, true_up: TrueUp) -> SafeString | str:
        return formats.money(true_up.amount)

    @admin.display(description="Quarters", ordering="from_quarter")
    def reach(self, true_up: TrueUp) -> str:
        return f"Q{true_up.from_quarter} to Q{true_up.through_quarter}"

    def ask(self, form: Any, actor: str) -> TrueUp:
        return true_ups.request_true_up(
            commit_id=form.cleaned_data["commit"].pk,
            request=form.wanted(),
            actor=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        true_ups.approve_true_up(true_up_id=pk, actor=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        true_ups.reject_true_up(true_up_id=pk, actor=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: TrueUp) -> pages.Page:
        waiting = obj.state == RequestState.REQUESTED
        tables, warnings = self._effect(obj) if waiting else ([], [])
        return pages.Page(
            title=f"True-up of {formats.dollars(obj.amount)} a quarter",
            subtitle=obj.commit.customer.name,
            warnings=warnings,
            facts=[
                ("Increase a quarter", pages.money(obj.amount)),
                ("Quarters", pages.text(self.reach(obj))),
                ("Better discount", pages.text(formats.percent(obj.discount) or "unchanged")),
                ("Discount from", pages.instant(obj.effective_at)),
                ("Billed", pages.text("at approval" if obj.bill_now else "at the close")),
                *self.course_of(obj),
            ],
            buttons=self.buttons_for(request, obj),
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
