"""The audit trail and the staff who act: shown; users are changed by superusers alone."""

import json
from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from billing.admin import pages
from billing.admin.base import ReadOnlyAdmin, _ModelAdmin
from billing.models import AuditEvent
from billing.templatetags import ledger_formats as formats

if TYPE_CHECKING:
    _UserAdmin = DjangoUserAdmin[User]
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

    _UserAdmin = DjangoUserAdmin


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("when", "actor_name", "action", "object_type", "object_ref", "customer_key")
    list_filter = ("action", "object_type", "at")
    search_fields = ("actor_name", "object_ref", "customer_key")

    @admin.display(description="When (UTC)", ordering="at")
    def when(self, event: AuditEvent) -> str:
        return formats.stamp(event.at)

    def page_of(self, request: HttpRequest, obj: AuditEvent) -> pages.Page:
        details = [
            (key, pages.code(value if isinstance(value, str) else json.dumps(value)))
            for key, value in obj.details.items()
        ]
        return pages.Page(
            title=f"{obj.actor_name}: {obj.action} {obj.object_type}",
            subtitle="Audit trail",
            facts=[
                ("When", pages.instant(obj.at)),
                ("Who", pages.text(obj.actor_name)),
                ("Did", pages.text(obj.action)),
                ("To", pages.code(f"{obj.object_type} {obj.object_ref}")),
                ("Customer", pages.text(obj.customer_key or "-")),
                *details,
            ],
        )


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(_UserAdmin, _ModelAdmin):
    if not TYPE_CHECKING:
        form = UserChangeForm
        add_form = UserCreationForm
        change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, _ModelAdmin):
    pass
