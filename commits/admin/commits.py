"""Commits: signed through the service, activated by a button, shown with their quarters."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
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
from commits.admin.close_pages import CloseViews
from commits.admin.corrections import CorrectionViews
from commits.admin.forms import CommitForm
from commits.models import Commit, CommitState
from commits.services import balances, signing


@admin.register(Commit)
class CommitAdmin(CloseViews, CorrectionViews, RecordAdmin):
    list_display = (
        "customer_name", "starts", "quarters", "instalment", "off", "end",
        "shown_state", "created",
    )  # fmt: skip
    list_filter = ("state", "end_of_term", "customer")
    search_fields = ("customer__key", "customer__name", "id")
    related = ("customer",)
    form_class = CommitForm
    add_title = "New commit"
    add_note = "This makes a draft. It binds nobody until it is activated on its own page."
    add_submit = "Save the draft"

    @admin.display(description="Customer", ordering="customer__name")
    def customer_name(self, commit: Commit) -> str:
        return commit.customer.name

    @admin.display(description="Starts on", ordering="starts_on")
    def starts(self, commit: Commit) -> str:
        return commit.starts_on.isoformat()

    @admin.display(description="End of term", ordering="end_of_term")
    def end(self, commit: Commit) -> str:
        return formats.words(commit.end_of_term)

    @admin.display(description="Quarters", ordering="quarter_count")
    def quarters(self, commit: Commit) -> str:
        return str(commit.quarter_count or "uncommitted")

    @admin.display(description="Instalment")
    def instalment(self, commit: Commit) -> SafeString:
        shown = [formats.dollars(amount) for amount in commit.instalments]
        one = len(set(shown)) <= 1
        text = (shown[0] if shown else "-") if one else f"{min(shown)} to {max(shown)}"
        return format_html('<span class="money" title="{}">{}</span>', ", ".join(shown), text)

    @admin.display(description="Discount", ordering="discount")
    def off(self, commit: Commit) -> str:
        return formats.percent(commit.discount)

    @admin.display(description="State", ordering="state")
    def shown_state(self, commit: Commit) -> str:
        return commit.get_state_display()

    @admin.display(description="Created (UTC)", ordering="created_at")
    def created(self, commit: Commit) -> str:
        return formats.stamp(commit.created_at)

    def get_urls(self) -> list[URLPattern]:
        activate = self.act_path("<uuid:commit_id>/activate/", self.activate, "activate")
        return [
            activate,
            *self.close_urls(),
            *self.correction_urls(),
            *super().get_urls(),
        ]

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        if not isinstance(form, CommitForm):
            return None
        try:
            made = signing.create_commit(
                terms=form.terms(), actor=actor_of(request), now=clock.now()
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, "The draft is saved. Look it over, then activate it.")
        return self.back_to(made)

    def activate(self, request: HttpRequest, commit_id: Any) -> HttpResponse:
        require_controller(request)
        commit = self.seen(request, str(commit_id))
        if request.method == "POST" and attempt(
            request,
            lambda: signing.activate_commit(
                commit_id=commit.pk, actor=actor_of(request), now=clock.now()
            ),
            "The commit is active. Its first instalment is on an invoice.",
        ):
            push_soon()
        return self.back_to(commit)

    def page_of(self, request: HttpRequest, obj: Commit) -> pages.Page:
        draft = obj.state == CommitState.DRAFT
        buttons = []
        if draft and is_controller(request):
            note = "Binding: opens the quarters and drafts the first invoice."
            buttons.append(
                pages.Button("Activate this commit", self.url_of("activate", obj.pk), note=note)
            )
        of_commit = f"?commit_id={obj.pk}"
        links = [
            pages.Link("Invoices", reverse("admin:billing_invoice_changelist") + of_commit),
            pages.Link("Journal", reverse("admin:billing_journalentry_changelist") + of_commit),
            pages.Link(
                "Grants",
                f"{reverse('admin:commits_grant_changelist')}?quarter__commit__id__exact={obj.pk}",
            ),
            pages.Link(
                "True-ups",
                f"{reverse('admin:commits_trueup_changelist')}?commit__id__exact={obj.pk}",
            ),
        ]
        return pages.Page(
            title=f"{obj.customer.name}: {self.quarters(obj)} quarters from {obj.starts_on}"
            if obj.quarter_count
            else f"{obj.customer.name}: uncommitted from {obj.starts_on}",
            subtitle="Commit",
            facts=self._facts(obj),
            buttons=buttons,
            links=[] if draft else links,
            tables=[self._promised(obj)] if draft else [self._quarters(obj), *self._fixed(obj)],
        )

    def _facts(self, commit: Commit) -> list[tuple[str, pages.Cell]]:
        limit = commit.auto_approve_max_overage
        rollover = f"{formats.percent(commit.rollover_fraction)} of what is left"
        if commit.rollover_cap is not None:
            rollover += f", at most {formats.dollars(commit.rollover_cap)} a close"
        if commit.rollover_max_times is not None:
            rollover += f", at most {commit.rollover_max_times} times"
        end = formats.words(commit.end_of_term)
        if commit.tail_quarters:
            end += f", {commit.tail_quarters} tail quarters"
        human = "every close" if limit is None else f"overage above {formats.dollars(limit)}"
        protected = "yes" if commit.price_protection else "no"
        return [
            ("State", pages.state(commit.state)),
            (
                "Customer",
                pages.link(
                    commit.customer.name, "admin:billing_customer_change", commit.customer_id
                ),
            ),
            ("Starts on", pages.text(commit.starts_on, small=f"in {commit.timezone}")),
            ("Instalment", pages.Cell(self.instalment(commit))),
            ("Discount", pages.text(formats.percent(commit.discount))),
            ("Rollover", pages.text(rollover)),
            ("End of term", pages.text(end)),
            ("Grace", pages.text(f"{commit.grace_hours} hours")),
            ("Needs a human", pages.text(human)),
            ("Price protection", pages.text(protected)),
            ("Drafted", pages.instant(commit.created_at)),
            ("Drafted by", pages.text(commit.created_by)),
            ("Activated", pages.instant(commit.activated_at)),
            ("Activated by", pages.text(commit.activated_by or "-")),
            ("Id", pages.code(commit.pk)),
        ]

    def _promised(self, commit: Commit) -> pages.Table:
        return pages.Table(
            "Instalments",
            pages.columns("Quarter", "#Instalment"),
            [
                (pages.text(f"Q{index}"), pages.money(amount))
                for index, amount in enumerate(commit.instalments, start=1)
            ],
            empty="None: everything is billed in arrears at list price.",
        )

    def _quarters(self, commit: Commit) -> pages.Table:
        """The chain's figures, late usage included."""
        rows = []
        for view in balances.read_quarters(commit=commit):
            quarter, figures = view.quarter, view.figures
            rows.append(
                (
                    pages.link(
                        f"Q{quarter.index}" + (" (tail)" if quarter.is_tail else ""),
                        self.name_of("close"),
                        commit.pk,
                        quarter.index,
                    ),
                    pages.text(
                        formats.stamp(quarter.starts_at),
                        small=f"to {formats.stamp(quarter.ends_at)}",
                    ),
                    pages.state(view.state),
                    pages.brief(figures.granted),
                    pages.brief(figures.rolled_in),
                    pages.brief(figures.used),
                    pages.brief(figures.overage, tone="bad" if figures.overage else ""),
                    pages.brief(figures.rolled_out),
                    pages.brief(figures.breakage),
                )
            )
        return pages.Table(
            "Quarters",
            pages.columns(
                "Quarter", "From, to (UTC)", "State", "#Granted", "#Rolled in", "#Used",
                "#Overage", "#Rolled out", "#Breakage",
            ),
            rows,
            note="Figures of the recomputed chain: late usage counts as if it had been in time. "
            "Granted includes what rolled in; quarters end exclusively. Point at a figure for its "
            "exact twelve decimals.",
        )  # fmt: skip

    def _fixed(self, commit: Commit) -> list[pages.Table]:
        if not commit.overrides:
            return []
        rows = [
            (
                pages.text(row["model"]),
                pages.text(formats.words(row["mode"])),
                pages.text(formats.words(row["meter"])),
                pages.Cell(f"${row['price']}", number=True),
            )
            for row in commit.overrides
        ]
        return [
            pages.Table("Fixed prices", pages.columns("Model", "Mode", "Meter", "#Price"), rows)
        ]
