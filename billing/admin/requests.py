"""What one finance user asks for and another decides: the pages that all such requests share."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from billing.admin import pages
from billing.admin.access import (
    actor_of,
    attempt,
    is_controller,
    push_soon,
    refusal,
    require_controller,
)
from billing.admin.base import ReadOnlyAdmin, RecordAdmin
from billing.domain.errors import BillingError
from billing.models import RequestState
from billing.templatetags import ledger_formats as formats


class DecisionAdmin(ReadOnlyAdmin):
    """Asked for elsewhere, decided by two buttons, seen with its maker and its checker."""

    def approve(self, pk: UUID, actor: str) -> None:
        """Call the service that approves."""

    def approve_as_seen(self, pk: UUID, actor: str, digest: str) -> None:
        """Approve what the page showed, where its button carries the digest of that."""
        self.approve(pk, actor)

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        """Call the service that rejects."""

    @admin.display(description="Asked (UTC)", ordering="requested_at")
    def requested(self, asked: Any) -> str:
        return formats.stamp(asked.requested_at)

    @admin.display(description="State", ordering="state")
    def shown_state(self, asked: Any) -> str:
        return str(asked.get_state_display())

    def get_urls(self) -> list[URLPattern]:
        return [
            self.act_path("<uuid:pk>/approve/", self.approve_view, "approve"),
            self.act_path("<uuid:pk>/reject/", self.reject_view, "reject"),
            *super().get_urls(),
        ]

    def approve_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        require_controller(request)
        asked = self.seen(request, str(pk))
        if request.method == "POST" and attempt(
            request,
            lambda: self.approve_as_seen(
                asked.pk, actor_of(request), request.POST.get("digest", "")
            ),
            "Approved, and in force.",
        ):
            push_soon()
        return self.back_to(asked)

    def reject_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        require_controller(request)
        asked = self.seen(request, str(pk))
        if request.method == "POST":
            reason = request.POST.get("reason", "")[:300]
            attempt(request, lambda: self.reject(asked.pk, actor_of(request), reason), "Rejected.")
        return self.back_to(asked)

    def digest_of(self, asked: Any) -> str:
        """The digest of the effect that the page of a request shows; empty without one."""
        return ""

    def buttons_for(self, request: HttpRequest, asked: Any) -> list[pages.Button]:
        """Approve and reject, while it waits and for those who may; its maker takes it back."""
        if asked.state != RequestState.REQUESTED or not is_controller(request):
            return []
        rejection = self.url_of("reject", asked.pk)
        if asked.requested_by == actor_of(request):
            note = "You asked for it: another finance user approves it."
            return [pages.Button("Take it back", rejection, tone="danger", note=note)]
        return [
            pages.Button(
                "Approve",
                self.url_of("approve", asked.pk),
                fields={"digest": self.digest_of(asked)},
            ),
            pages.Button("Reject", rejection, tone="danger", asks="reason"),
        ]

    def course_of(self, asked: Any) -> list[tuple[str, pages.Cell]]:
        """The state, who asked and decided when, and why not."""
        return [
            ("State", pages.state(asked.state)),
            ("Asked", pages.text(formats.instant(asked.requested_at), small=asked.requested_by)),
            (
                "Decided",
                pages.text(formats.instant(asked.decided_at) or "-", small=asked.decided_by),
            ),
            *(
                [("Rejected because", pages.text(asked.rejected_because))]
                if asked.rejected_because
                else []
            ),
        ]


class RequestAdmin(DecisionAdmin, RecordAdmin):
    """Asked for by a form here, too."""

    add_note = "Another finance user decides."
    add_submit = "Ask for it"

    def ask(self, form: Any, actor: str) -> Any:
        """Store the request that the form holds."""

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        try:
            made = self.ask(form, actor_of(request))
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, "Asked for. Another finance user decides.")
        return self.back_to(made)
