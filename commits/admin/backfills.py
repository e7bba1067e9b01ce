"""Backfills: usage of a source and stretch of time, seen in money before another decides."""

import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from billing.admin import pages
from billing.admin.forms import PlainForm
from billing.admin.requests import RequestAdmin
from billing.domain.errors import BillingError
from billing.models import Customer, RequestState
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.admin.corrections import quarters_table
from commits.models import Backfill, BackfillKind
from commits.services import backfills


class BackfillForm(PlainForm):
    source = forms.CharField(max_length=200, help_text="As its events name it.")
    kind = forms.ChoiceField(choices=BackfillKind.choices)
    starts_at = forms.DateTimeField(label="From (UTC)", help_text="2026-02-01 00:00")
    ends_at = forms.DateTimeField(label="To (UTC)", help_text="The first instant after it.")
    customers = forms.ModelMultipleChoiceField(Customer.objects.all())
    events = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "class": "page-input"}),
        help_text="A JSON array of CloudEvents; more can be staged over REST. Empty, with "
        "`replace`: everything that the source reported in that time is voided.",
    )
    reason = forms.CharField(max_length=300, help_text="It stands in the audit trail.")

    def clean_events(self) -> bytes:
        text = str(self.cleaned_data["events"]).strip() or "[]"
        try:
            found = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(found, list):
            raise forms.ValidationError("A JSON array of events, please: [{...}, {...}].")
        return text.encode()


@admin.register(Backfill)
class BackfillAdmin(RequestAdmin):
    list_display = (
        "source", "kind", "begins", "ends", "reason", "shown_state", "requested", "requested_by",
        "decided_by",
    )  # fmt: skip
    list_filter = ("state", "kind")
    search_fields = ("source", "reason")
    form_class = BackfillForm
    add_title = "Backfill usage"

    @admin.display(description="From (UTC)", ordering="starts_at")
    def begins(self, backfill: Backfill) -> str:
        return formats.stamp(backfill.starts_at)

    @admin.display(description="To (UTC)", ordering="ends_at")
    def ends(self, backfill: Backfill) -> str:
        return formats.stamp(backfill.ends_at)

    def ask(self, form: Any, actor: str) -> Backfill:
        given = form.cleaned_data
        return backfills.declare_backfill(
            source=given["source"],
            starts_at=given["starts_at"],
            ends_at=given["ends_at"],
            kind=BackfillKind(given["kind"]),
            customer_keys=[customer.key for customer in given["customers"]],
            reason=given["reason"],
            events=given["events"],
            actor_name=actor,
            now=clock.now(),
        )

    def approve(self, pk: UUID, actor: str) -> None:
        backfills.approve_backfill(backfill_id=pk, actor_name=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        backfills.reject_backfill(backfill_id=pk, actor_name=actor, now=clock.now(), why=reason)

    def page_of(self, request: HttpRequest, obj: Backfill) -> pages.Page:
        staged = backfills.staged_counts(backfill_id=obj.pk)
        tables = [
            pages.Table(
                "Staged events",
                pages.columns("Customer", "#Events"),
                [(pages.text(key), pages.count(count)) for key, count in staged.items()],
            )
        ]
        warnings = []
        if obj.state == RequestState.REQUESTED:
            try:
                seen = backfills.preview_backfill(backfill_id=obj.pk, now=clock.now())
                tables += [
                    quarters_table(preview, f"{key}, if applied now") for key, preview in seen
                ]
            except BillingError as error:
                warnings.append(f"It cannot be applied: {error.detail}")
        return pages.Page(
            title=f"Backfill of {obj.source}",
            subtitle=obj.get_kind_display(),
            warnings=warnings,
            facts=[
                ("From", pages.instant(obj.starts_at)),
                ("To", pages.instant(obj.ends_at)),
                ("Reason", pages.text(obj.reason)),
                ("Applied", pages.instant(obj.applied_at)),
                *self.course_of(obj),
            ],
            tables=tables,
            buttons=self.buttons_for(request, obj),
        )
