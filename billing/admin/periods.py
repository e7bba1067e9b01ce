"""Accounting periods: finance locks a month, and nothing is dated in it any more."""

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from billing.admin.access import actor_of, user_of
from billing.admin.base import RecordAdmin
from billing.admin.forms import DayField, PlainForm
from billing.models import AccountingPeriod
from billing.services import audit, clock
from billing.templatetags import ledger_formats as formats


class LockForm(PlainForm):
    month = DayField(help_text="Any day of the month to lock. This cannot be undone here.")


@admin.register(AccountingPeriod)
class AccountingPeriodAdmin(RecordAdmin):
    list_display = ("__str__", "locked", "locked_by")
    form_class = LockForm
    add_title = "Lock an accounting period"
    add_note = (
        "Nothing may be dated in a locked month any more: later entries that belong there are "
        "dated on the first unlocked day after it."
    )
    add_submit = "Lock this month"

    @admin.display(description="Locked (UTC)", ordering="locked_at")
    def locked(self, period: AccountingPeriod) -> str:
        return formats.stamp(period.locked_at)

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        month = form.cleaned_data["month"].replace(day=1)
        now, actor = clock.now(), actor_of(request)
        with transaction.atomic():
            _, is_new = AccountingPeriod.objects.get_or_create(
                month=month, defaults={"locked_at": now, "locked_by": actor}
            )
            if is_new:
                audit.record(
                    at=now,
                    actor=user_of(request),
                    actor_name=actor,
                    action="accounting_period.locked",
                    object_type="accounting_period",
                    object_ref=f"{month:%Y-%m}",
                )
        messages.success(request, f"{month:%B %Y} is locked.")
        return self.back_to_list()
