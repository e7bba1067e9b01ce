"""Credits and fixed prices in mid-contract: asked for by one finance user, decided by another."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.forms import PlainForm, UtcHourField
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.admin.requests import CommitRequestAdmin
from commits.models import Commit, CommitState, Credit, OverrideRequest
from commits.services import credits, overrides
from metering.domain.meters import Mode
from metering.models import Meter
from metering.services.rate_cards import Override


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
class CreditAdmin(CommitRequestAdmin):
    list_display = (
        "customer", "increase", "reason", "quarter_index", "shown_state", "requested",
        "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "commit__customer")
    search_fields = ("commit__customer__key", "reason")
    form_class = CreditForm
    add_title = "Ask for a credit"

    @admin.display(description="Amount", ordering="amount")
    def increase(self, credit: Credit) -> SafeString | str:
        return formats.money(credit.amount)

    def ask(self, form: Any, actor: str) -> Credit:
        return credits.request_credit(
            commit_id=form.cleaned_data["commit"].pk,
            request=form.wanted(),
            actor=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        credits.approve_credit(credit_id=pk, actor=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        credits.reject_credit(credit_id=pk, actor=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: Credit) -> pages.Page:
        quarter = f"Q{obj.quarter_index}" if obj.quarter_index else "running at approval"
        return pages.Page(
            title=f"Credit of {formats.dollars(obj.amount)}",
            subtitle=obj.commit.customer.name,
            facts=[
                ("Amount", pages.money(obj.amount)),
                ("Reason", pages.text(obj.reason)),
                ("Quarter", pages.text(quarter)),
                ("Expires", pages.text(formats.instant(obj.expires_at) or "with its quarter")),
                ("Rolls over", pages.text("yes" if obj.rolls_over else "no")),
                *self.course_of(obj),
            ],
            buttons=self.buttons_for(request, obj),
        )


class OverrideForm(PlainForm):
    commit = forms.ModelChoiceField(Commit.objects.filter(state=CommitState.ACTIVE))
    model = forms.CharField(max_length=200, label="Model or GPU sku")
    mode = forms.ChoiceField(choices=[(mode.value, formats.words(mode.value)) for mode in Mode])
    meter = forms.ModelChoiceField(Meter.objects.all())
    price = forms.DecimalField(help_text="Quoted as in the price book; not discounted further.")
    effective_at = UtcHourField(label="In force from")


@admin.register(OverrideRequest)
class OverrideRequestAdmin(CommitRequestAdmin):
    list_display = (
        "customer", "model", "mode", "meter", "shown_price", "shown_state", "requested",
        "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state", "commit__customer")
    search_fields = ("commit__customer__key", "model")
    form_class = OverrideForm
    add_title = "Ask for a fixed price"

    @admin.display(description="Price", ordering="price")
    def shown_price(self, asked: OverrideRequest) -> str:
        return formats.exact(asked.price)

    def ask(self, form: Any, actor: str) -> OverrideRequest:
        given = form.cleaned_data
        return overrides.request_override(
            commit_id=given["commit"].pk,
            override=Override(
                model=given["model"],
                mode=given["mode"],
                meter=given["meter"].key,
                price=given["price"],
                effective_at=given["effective_at"],
            ),
            actor=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        overrides.approve_override(request_id=pk, actor=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        overrides.reject_override(request_id=pk, actor=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: OverrideRequest) -> pages.Page:
        return pages.Page(
            title=f"Fixed price for {obj.model}",
            subtitle=obj.commit.customer.name,
            facts=[
                ("Price", pages.Cell(formats.exact(obj.price))),
                ("Mode", pages.text(formats.words(obj.mode))),
                ("Meter", pages.text(formats.words(obj.meter))),
                ("In force from", pages.instant(obj.effective_at)),
                *self.course_of(obj),
            ],
            buttons=self.buttons_for(request, obj),
        )
