"""The model admins that all others are made from.

`ReadOnlyAdmin` has no add, change or delete at all; `RecordAdmin` adds through one form that calls
one service. Neither ever saves a model by itself.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from billing.admin import pages
from billing.admin.access import is_controller, require_controller

if TYPE_CHECKING:
    # Unfold ships no types; its ModelAdmin is Django's with other templates.
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    from unfold.admin import ModelAdmin as _ModelAdmin


class ReadOnlyAdmin(_ModelAdmin):
    """Seen by controllers and by staff with the view permission; changed by nobody here."""

    list_fullwidth = True
    list_filter_submit = True
    list_per_page = 50
    compressed_fields = True
    actions = None

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_controller(request) or super().has_view_permission(request, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_controller(request) or super().has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found = super().get_queryset(request)
        return found.select_related(*self.related) if self.related else found

    related: tuple[str, ...] = ()

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        # PostgreSQL has no text with a NUL: there is nothing of that id.
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    # --- pages of our own ---------------------------------------------------------------------
    def page_of(self, request: HttpRequest, obj: Any) -> pages.Page | None:
        """The page of one object; None for Django's list of fields."""
        return None

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.seen(request, object_id)
        page = self.page_of(request, obj)
        if page is not None and request.method in ("GET", "HEAD"):
            return pages.render(request, page, opts=self.opts)
        return super().change_view(request, object_id, form_url, extra_context)

    def seen(self, request: HttpRequest, object_id: str) -> Any:
        """The object of an address; 404 if there is none, 403 without the permission."""
        obj = self.get_object(request, object_id)
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        if obj is None:
            raise Http404
        return obj

    def require_view(self, request: HttpRequest) -> None:
        """Refuse with 403 whoever may not see this kind of object."""
        if not self.has_view_permission(request):
            raise PermissionDenied

    def url_of(self, page: str, *args: object) -> str:
        """The address of one of this admin's pages."""
        return reverse(self.name_of(page), args=args)

    def name_of(self, page: str) -> str:
        return f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"

    def act_path(self, route: str, view: Any, page: str) -> URLPattern:
        """A page of our own beside Django's, for staff only."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_{page}"
        found: URLPattern = path(route, self.admin_site.admin_view(view), name=name)
        return found

    def back_to(self, obj: Model) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.url_of("change", obj.pk))

    def back_to_list(self) -> HttpResponseRedirect:
        return HttpResponseRedirect(self.url_of("changelist"))


class RecordAdmin(ReadOnlyAdmin):
    """Objects that controllers add through a form whose `record` calls one service."""

    add_title = "Add"
    add_note = ""
    add_submit = "Save"

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return is_controller(request)

    form_class: type[Form] = Form

    def record(self, request: HttpRequest, form: Form) -> HttpResponse | None:
        """Call the service with the form's cleaned data; None if it was refused."""
        return None

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        require_controller(request)
        form = self.form_class(request.POST or None)
        if request.method == "POST" and form.is_valid():
            answer = self.record(request, form)
            if answer is not None:
                return answer
        page = pages.Page(
            title=self.add_title,
            notes=[self.add_note] if self.add_note else [],
            form=form,
            form_submit=self.add_submit,
        )
        return pages.render(request, page, opts=self.opts, status=400 if form.errors else 200)
