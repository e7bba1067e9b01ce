"""Correcting usage: the money effect per quarter first, and then the correction itself."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from billing.admin import pages
from billing.admin.access import actor_of, refusal, require_controller, user_of
from billing.admin.base import ReadOnlyAdmin
from billing.admin.forms import PlainForm
from billing.domain.errors import BillingError
from billing.models import Customer
from billing.services import clock
from billing.templatetags import ledger_formats as formats
from commits.services import corrections
from commits.services.corrections import Correction, CorrectionPreview, QuarterEffect

_SHOWN = ("used", "overage", "rolled_in", "rolled_out", "breakage")


class CorrectionForm(PlainForm):
    customer = forms.ModelChoiceField(Customer.objects.all())
    voids = forms.CharField(
        label="Events to void",
        widget=forms.Textarea(attrs={"rows": 5, "class": "page-input"}),
        help_text="One a line: its source, a comma, its id.",
    )
    replacements = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 5, "class": "page-input"}),
        help_text="Events to count in their place: a JSON array of CloudEvents. May be empty.",
    )
    reason = forms.CharField(max_length=300, help_text="It stands in the audit trail.")

    def clean_voids(self) -> list[tuple[str, str]]:
        found = []
        for line in str(self.cleaned_data["voids"]).splitlines():
            if line.strip():
                source, comma, name = line.partition(",")
                if not comma or not source.strip() or not name.strip():
                    raise forms.ValidationError(f"No source and id: {line[:80]!r}")
                found.append((source.strip(), name.strip()))
        return found

    def clean_replacements(self) -> list[dict[str, Any]]:
        text = str(self.cleaned_data["replacements"]).strip()
        try:
            found = json.loads(text or "[]")
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise forms.ValidationError("A JSON array of events, please: [{...}, {...}].")
        return found

    def wanted(self) -> Correction:
        """The cleaned data as the service takes it."""
        given = self.cleaned_data
        return Correction(given["voids"], given["reason"], given["replacements"])


class CorrectionViews(ReadOnlyAdmin):
    """The page that corrects usage, mixed into the admin of commits."""

    def correction_urls(self) -> list[URLPattern]:
        return [self.act_path("correct-usage/", self.correct, "correct_usage")]

    def correct(self, request: HttpRequest) -> HttpResponse:
        """A POST shows the effect; one with `apply`, its digest, applies the correction."""
        require_controller(request)
        form = CorrectionForm(request.POST or None)
        tables: list[pages.Table] = []
        facts: list[tuple[str, pages.Cell]] = []
        digest = ""
        if request.method == "POST" and form.is_valid():
            if "apply" in request.POST and self._apply(request, form):
                return self.back_to_list()
            if not form.errors:
                facts, tables, digest = self._effect(form)
        page = pages.Page(
            title="Correct usage",
            notes=[
                "Events are never edited: a correction voids them, and may count others in their "
                "place. Every quarter is recomputed as if it had been so in time; what that "
                "changes of a posted quarter is booked in the open one."
            ],
            form=form,
            form_submit="Show the effect",
            form_also=pages.Submit("apply", "Apply this correction", digest) if tables else None,
            facts=facts,
            tables=tables,
        )
        return pages.render(request, page, opts=self.opts, status=400 if form.errors else 200)

    def _apply(self, request: HttpRequest, form: CorrectionForm) -> bool:
        try:
            result = corrections.apply_correction(
                customer=form.cleaned_data["customer"],
                correction=form.wanted(),
                actor=user_of(request),
                actor_name=actor_of(request),
                now=clock.now(),
                expected_digest=request.POST["apply"],
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return False
        messages.success(request, f"Corrected: {result.accepted} events were taken in.")
        return True

    def _effect(
        self, form: CorrectionForm
    ) -> tuple[list[tuple[str, pages.Cell]], list[pages.Table], str]:
        """What it would change, and the digest of that; nothing where it is refused."""
        try:
            preview = corrections.preview_correction(
                customer=form.cleaned_data["customer"],
                correction=form.wanted(),
                now=clock.now(),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return [], [], ""
        table = quarters_table(preview, "Every quarter, if it is corrected now")
        return _facts(preview), [table], preview.digest


def _facts(preview: CorrectionPreview) -> list[tuple[str, pages.Cell]]:
    facts = [("Usage changes by", pages.money(preview.used_difference))]
    if preview.invoice_before_cents is not None and preview.invoice_after_cents is not None:
        facts += [
            ("Next invoice as of now", pages.cents(preview.invoice_before_cents)),
            ("Next invoice if corrected", pages.cents(preview.invoice_after_cents)),
        ]
    return facts


def quarters_table(preview: CorrectionPreview, heading: str) -> pages.Table:
    """Every quarter of one customer as it would be, and what it was."""

    def row(one: QuarterEffect) -> tuple[pages.Cell, ...]:
        cells = []
        for name in _SHOWN:
            before, after = getattr(one.before, name), getattr(one.after, name)
            small = f"was {formats.dollars(before)}" if before != after else ""
            tone = "changed" if small else ""
            cells.append(pages.Cell(formats.dollars(after), number=True, tone=tone, small=small))
        quarter = pages.link(
            f"Q{one.index}", "admin:commits_commit_close", one.commit_id, one.index
        )
        return (quarter, pages.state(one.state), *cells)

    return pages.Table(
        heading,
        pages.columns(
            "Quarter", "State", "#Used", "#Overage", "#Rolled in", "#Rolled out", "#Breakage"
        ),
        [row(one) for one in preview.quarters],
        note="Nothing is changed yet.",
        empty="This customer has no commit: nothing is billed.",
    )
