"""Credits: balance that nobody pays for, asked for by one finance user, decided by another."""

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import actor_of, attempt, is_controller, refusal, require_controller
from billing.admin.base import RecordAdmin
from billing.admin.forms import PlainForm, UtcHourField
from billing.domain.errors import BillingError
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.models import Commit, CommitState, Credit, RequestState
from commits.services import credits


class CreditForm(PlainForm):
    commit = forms.ModelChoiceField(Commit.objects.filter(state=CommitState.ACTIVE))
    amount = forms.DecimalField(help_text="Dollars, whole cents.")
    reason = forms.CharField(max_length=300, help_text="SLA, promotion; the customer may ask.")
    quarter = forms.IntegerField(
        required=False, min_value=1, help_text="Empty: the one running at its approval."
    )
    expires_at = UtcHourField(required=False, label="Expires")
    rolls_over = forms.BooleanField(required=False, help_text="Rolls into the next quarter.")

    def wanted(self) -> credits.CreditRequest:
        """The cleaned data as the service takes it."""
        given = {key: value for key, value in self.cleaned_data.items() if key != "commit"}
        return credits.CreditRequest(**given)


@admin.register(Credit)
class CreditAdmin(RecordAdmin):
    list_display = ("customer", "shown_amount", "reason", "quarter_index", "state", "requested",
                    "requested_by", "decided_by")  # fmt: skip
    list_filter = ("state", "commit__customer")
    search_fields = ("commit__customer__key", "reason")
    related = ("commit__customer",)
    form_class = CreditForm
    add_title = "Ask for a credit"
    add_note = "Another finance user decides."
    add_submit = "Ask for it"

    @admin.display(description="Customer", ordering="commit__customer__name")
    def customer(self, credit: Credit) -> str:
        return credit.commit.customer.name

    @admin.display(description="Amount", ordering="amount")
    def shown_amount(self, credit: Credit) -> SafeString | str:
        return formats.money(credit.amount)

    @admin.display(description="Asked (UTC)", ordering="requested_at")
    def requested(self, credit: Credit) -> str:
        return formats.instant(credit.requested_at)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.act_path("<uuid:credit_id>/approve/", self.approve, "approve"),
            self.act_path("<uuid:credit_id>/reject/", self.reject, "reject"),
            *super().get_urls(),
        ]

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        if not isinstance(form, CreditForm):
            return None
        try:
            made = credits.request_credit(
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

    def approve(self, request: HttpRequest, credit_id: UUID) -> HttpResponse:
        return self._decide(request, credit_id, credits.approve_credit, "The credit is issued.")

    def reject(self, request: HttpRequest, credit_id: UUID) -> HttpResponse:
        return self._decide(request, credit_id, credits.reject_credit, "The credit is rejected.")

    def _decide(
        self, request: HttpRequest, credit_id: UUID, decide: Callable[..., Credit], done: str
    ) -> HttpResponse:
        require_controller(request)
        credit = self.seen(request, str(credit_id))
        if request.method == "POST":
            attempt(
                request,
                lambda: decide(credit_id=credit.pk, actor=actor_of(request), now=clock.now()),
                done,
            )
        return self.back_to(credit)

    def page_of(self, request: HttpRequest, obj: Credit) -> pages.Page:
        buttons = [
            pages.Button("Approve", self.url_of("approve", obj.pk)),
            pages.Button("Reject", self.url_of("reject", obj.pk), tone="danger"),
        ]
        waiting = obj.state == RequestState.REQUESTED
        quarter = f"Q{obj.quarter_index}" if obj.quarter_index else "running at approval"
        commit = pages.link(str(obj.commit_id)[:8], "admin:commits_commit_change", obj.commit_id)
        return pages.Page(
            title=f"Credit of {formats.dollars(obj.amount)}",
            subtitle=obj.commit.customer.name,
            facts=[
                ("State", pages.state(obj.state)),
                ("Commit", commit),
                ("Amount", pages.money(obj.amount)),
                ("Reason", pages.text(obj.reason)),
                ("Quarter", pages.text(quarter)),
                ("Expires", pages.text(formats.instant(obj.expires_at) or "with its quarter")),
                ("Rolls over", pages.text("yes" if obj.rolls_over else "no")),
                ("Asked", pages.text(formats.instant(obj.requested_at), small=obj.requested_by)),
                ("Decided", pages.text(formats.instant(obj.decided_at), small=obj.decided_by)),
            ],
            buttons=buttons if waiting and is_controller(request) else [],
        )
