"""Accounting periods: finance locks a month, and unlocks it by two people with a reason."""

from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.safestring import SafeString

from billing.admin import pages
from billing.admin.access import (
    actor_of,
    attempt,
    is_controller,
    refusal,
    require_controller,
    user_of,
)
from billing.admin.base import RecordAdmin
from billing.admin.forms import DayField, PlainForm
from billing.admin.requests import DecisionAdmin
from billing.domain.errors import BillingError
from billing.models import AccountingPeriod, JournalEntry, PeriodUnlock
from billing.services import accounting_periods, clock
from billing.templatetags import ledger_formats as formats


class LockForm(PlainForm):
    month = DayField(help_text="Any day of the month to lock. It must be over.")


@admin.register(AccountingPeriod)
class AccountingPeriodAdmin(RecordAdmin):
    list_display = ("__str__", "status", "locked", "locked_by", "unlocked")
    form_class = LockForm
    add_title = "Lock an accounting period"
    add_note = (
        "Nothing may be dated in a locked month any more: later entries that belong there are "
        "dated on the first unlocked day after it. To unlock it takes two people and a reason."
    )
    add_submit = "Lock this month"

    @admin.display(description="State")
    def status(self, period: AccountingPeriod) -> str:
        return "unlocked" if period.unlocked_at else "locked"

    @admin.display(description="Locked (UTC)", ordering="locked_at")
    def locked(self, period: AccountingPeriod) -> str:
        return formats.stamp(period.locked_at)

    @admin.display(description="Unlocked (UTC)", ordering="unlocked_at")
    def unlocked(self, period: AccountingPeriod) -> str:
        return formats.stamp(period.unlocked_at) or "-"

    def get_urls(self) -> list[URLPattern]:
        unlock = self.act_path("<int:pk>/unlock/", self.ask_to_unlock, "unlock")
        return [unlock, *super().get_urls()]

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        try:
            period = accounting_periods.lock_month(
                month=form.cleaned_data["month"],
                actor=user_of(request),
                actor_name=actor_of(request),
                now=clock.now(),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, f"{period.month:%B %Y} is locked.")
        return self.back_to(period)

    def page_of(self, request: HttpRequest, obj: AccountingPeriod) -> pages.Page:
        entries = JournalEntry.objects.filter(
            accounting_date__year=obj.month.year, accounting_date__month=obj.month.month
        )
        listed = reverse("admin:billing_journalentry_changelist")
        months = f"?accounting_date__year={obj.month.year}&accounting_date__month={obj.month.month}"
        return pages.Page(
            title=f"{obj.month:%B %Y}",
            subtitle="Accounting period",
            notes=[self.add_note] if obj.unlocked_at is None else [],
            facts=[
                ("State", pages.state(self.status(obj))),
                ("Locked", pages.text(formats.instant(obj.locked_at), small=obj.locked_by)),
                ("Unlocked", pages.instant(obj.unlocked_at)),
                ("Entries dated in it", pages.count(entries.count())),
            ],
            buttons=self._buttons(request, obj),
            links=[pages.Link("Its entries", listed + months)],
            tables=[self._requests(obj)],
        )

    def _buttons(self, request: HttpRequest, period: AccountingPeriod) -> list[pages.Button]:
        if period.unlocked_at is not None or not is_controller(request):
            return []
        if accounting_periods.waiting_unlock(period=period) is not None:
            return []
        return [
            pages.Button(
                "Ask to unlock it",
                self.url_of("unlock", period.pk),
                tone="danger",
                asks="reason",
                note="Another finance user decides.",
            )
        ]

    def _requests(self, period: AccountingPeriod) -> pages.Table:
        rows = [
            (
                pages.link(one.reason, "admin:billing_periodunlock_change", one.pk),
                pages.state(one.state),
                pages.text(formats.instant(one.requested_at), small=one.requested_by),
                pages.text(formats.instant(one.decided_at) or "-", small=one.decided_by),
            )
            for one in period.unlocks.all()
        ]
        return pages.Table(
            "Requests to unlock it", pages.columns("Reason", "State", "Asked", "Decided"), rows
        )

    def ask_to_unlock(self, request: HttpRequest, pk: int) -> HttpResponse:
        require_controller(request)
        period = self.seen(request, str(pk))
        if request.method == "POST":
            attempt(
                request,
                lambda: accounting_periods.request_unlock(
                    period_id=period.pk,
                    reason=request.POST.get("reason", ""),
                    actor=user_of(request),
                    actor_name=actor_of(request),
                    now=clock.now(),
                ),
                "Asked for. Another finance user decides.",
            )
        return self.back_to(period)


@admin.register(PeriodUnlock)
class PeriodUnlockAdmin(DecisionAdmin):
    """Asked for on the page of the period; decided here."""

    list_display = (
        "month", "reason", "shown_state", "requested", "requested_by", "decided_by",
    )  # fmt: skip
    list_filter = ("state",)
    related = ("period",)

    @admin.display(description="Month", ordering="period__month")
    def month(self, unlock: PeriodUnlock) -> SafeString | str:
        return str(unlock.period)

    def approve(self, pk: UUID, actor: str) -> None:
        accounting_periods.approve_unlock(unlock_id=pk, actor_name=actor, now=clock.now())

    def reject(self, pk: UUID, actor: str, reason: str) -> None:
        accounting_periods.reject_unlock(
            unlock_id=pk, actor_name=actor, now=clock.now(), why=reason
        )

    def page_of(self, request: HttpRequest, obj: PeriodUnlock) -> pages.Page:
        month = pages.link(
            f"{obj.period.month:%B %Y}", "admin:billing_accountingperiod_change", obj.period_id
        )
        return pages.Page(
            title=f"Unlock {obj.period.month:%B %Y}",
            subtitle="Once approved, entries may be dated in it until it is locked again.",
            facts=[
                ("Month", month),
                ("Reason", pages.text(obj.reason)),
                *self.course_of(obj),
            ],
            buttons=self.buttons_for(request, obj),
        )
