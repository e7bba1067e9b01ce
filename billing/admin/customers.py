"""Customers, their logins, and API keys: made here through services, shown, revoked."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from billing.admin import pages
from billing.admin.access import actor_of, attempt, refusal, require_controller, user_of
from billing.admin.base import RecordAdmin
from billing.admin.forms import DayField, PlainForm
from billing.domain.errors import BillingError
from billing.models import ApiKey, ApiKeyKind, Customer, CustomerLogin
from billing.services import api_keys, audit, clock, customers
from billing.templatetags import ledger_formats as formats


class CustomerForm(PlainForm):
    key = forms.CharField(max_length=64, help_text="Stable for ever: lower case, digits, . _ -")
    name = forms.CharField(max_length=200)
    email = forms.EmailField(label="Billing email")
    timezone = forms.CharField(
        max_length=64, initial="UTC", help_text="The contract's time zone, such as Europe/Berlin."
    )


@admin.register(Customer)
class CustomerAdmin(RecordAdmin):
    list_display = ("key", "name", "email", "timezone", "in_stripe", "created")
    search_fields = ("key", "name", "email")
    form_class = CustomerForm
    add_title = "New customer"

    @admin.display(description="Stripe customer")
    def in_stripe(self, customer: Customer) -> str:
        return customer.stripe_customer_id or "-"

    @admin.display(description="Created (UTC)", ordering="created_at")
    def created(self, customer: Customer) -> str:
        return formats.stamp(customer.created_at)

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        try:
            made = customers.create_customer(
                **form.cleaned_data,
                now=clock.now(),
                actor=user_of(request),
                actor_name=actor_of(request),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        messages.success(request, f"Customer {made.key} was created.")
        return self.back_to(made)

    def page_of(self, request: HttpRequest, obj: Customer) -> pages.Page:
        here = f"?customer__id__exact={obj.pk}"
        lists = (
            ("Commits", "admin:commits_commit_changelist"),
            ("Invoices", "admin:billing_invoice_changelist"),
            ("Journal entries", "admin:billing_journalentry_changelist"),
            ("Ledger accounts", "admin:billing_ledgeraccount_changelist"),
            ("Unrated usage", "admin:metering_unratedusage_changelist"),
        )
        balances = reverse("admin:billing_ledgeraccount_trial_balance")
        logins = CustomerLogin.objects.filter(customer=obj).select_related("user")
        return pages.Page(
            title=obj.name,
            subtitle="Customer",
            facts=[
                ("Key", pages.code(obj.key)),
                ("Billing email", pages.text(obj.email)),
                ("Contract time zone", pages.text(obj.timezone)),
                ("Stripe customer", pages.code(obj.stripe_customer_id or "not made yet")),
                ("Created", pages.instant(obj.created_at)),
                ("Dashboard logins", pages.text(", ".join(str(x.user) for x in logins) or "none")),
            ],
            links=[
                *(pages.Link(label, reverse(name) + here) for label, name in lists),
                pages.Link("Trial balance", f"{balances}?customer={obj.pk}"),
            ],
        )


class LoginForm(PlainForm):
    username = forms.CharField(max_length=150)
    customer = forms.ModelChoiceField(Customer.objects.all())
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
        min_length=10,
        help_text="At least 10 characters. The user can change it after logging in.",
    )

    def clean_username(self) -> str:
        name = str(self.cleaned_data["username"])
        if User.objects.filter(username=name).exists():
            raise forms.ValidationError("There is a user of that name already.")
        return name


@admin.register(CustomerLogin)
class CustomerLoginAdmin(RecordAdmin):
    list_display = ("user", "customer")
    related = ("user", "customer")
    form_class = LoginForm
    add_title = "New customer login"
    add_note = "The user sees this customer's dashboard, and nothing of anyone else."

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        given = form.cleaned_data
        with transaction.atomic():
            user = User.objects.create_user(given["username"], password=given["password"])
            CustomerLogin.objects.create(user=user, customer=given["customer"])
            audit.record(
                at=clock.now(),
                actor=user_of(request),
                actor_name=actor_of(request),
                action="customer_login.created",
                object_type="customer_login",
                object_ref=user.username,
                customer_key=given["customer"].key,
            )
        messages.success(request, f"{user} can now log in for {given['customer'].name}.")
        return self.back_to_list()


class ApiKeyForm(PlainForm):
    kind = forms.ChoiceField(choices=ApiKeyKind.choices)
    name = forms.CharField(max_length=100, required=False, help_text="What it is used by.")
    customers = forms.ModelMultipleChoiceField(
        Customer.objects.all(),
        required=False,
        help_text="One for a customer key; for an agent, those it is limited to (none: all).",
    )
    user = forms.ModelChoiceField(
        User.objects.filter(is_staff=True, is_active=True),
        required=False,
        help_text="For a finance key: the staff user that it acts for, which is you.",
    )
    expires_at = DayField(required=False, label="Expires on", help_text="UTC; empty: never.")


@admin.register(ApiKey)
class ApiKeyAdmin(RecordAdmin):
    list_display = ("__str__", "name", "owner", "created", "last_used", "status")
    list_filter = ("kind",)
    related = ("customer", "user")
    form_class = ApiKeyForm
    add_title = "New API key"
    add_note = "The key is shown once, on the next page. Only its digest is kept."

    @admin.display(description="Belongs to")
    def owner(self, key: ApiKey) -> str:
        return str(key.customer or key.user or "agents")

    @admin.display(description="Created (UTC)", ordering="created_at")
    def created(self, key: ApiKey) -> str:
        return formats.stamp(key.created_at)

    @admin.display(description="Last used (UTC)", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return formats.stamp(key.last_used_at) or "never"

    @admin.display(description="State")
    def status(self, key: ApiKey) -> str:
        return f"revoked {formats.instant(key.revoked_at)}" if key.revoked_at else "live"

    def get_urls(self) -> list[URLPattern]:
        revoke = self.act_path("<int:key_id>/revoke/", self.revoke, "revoke")
        return [revoke, *super().get_urls()]

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return sensitive_post_parameters()(never_cache(super().add_view))(request, *args, **kwargs)

    def record(self, request: HttpRequest, form: forms.Form) -> HttpResponse | None:
        given = form.cleaned_data
        me = user_of(request)
        if given["user"] not in (None, me) and not request.user.is_superuser:
            # Else one person could ask as one user and approve as another.
            form.add_error("user", "A key acts for its user: only a superuser makes another's.")
            return None
        try:
            new = api_keys.create_api_key(
                kind=ApiKeyKind(given["kind"]),
                now=clock.now(),
                customers=list(given["customers"]),
                user=given["user"],
                name=given["name"],
                expires_at=given["expires_at"],
                actor=user_of(request),
                actor_name=actor_of(request),
            )
        except BillingError as error:
            form.add_error(None, refusal(error))
            return None
        page = pages.Page(
            title="New API key",
            warnings=["Copy the key now: it is not shown again, and cannot be recovered."],
            facts=[("Key", pages.code(new.text)), ("For", pages.text(self.owner(new.key)))],
            links=[pages.Link("All API keys", self.url_of("changelist"))],
        )
        answer = pages.render(request, page, opts=self.opts)
        answer["Cache-Control"] = "no-store"
        return answer

    def page_of(self, request: HttpRequest, obj: ApiKey) -> pages.Page:
        limited = ", ".join(c.key for c in obj.allowed_customers.all()) or "none"
        revoke = pages.Button(
            "Revoke this key",
            self.url_of("revoke", obj.pk),
            tone="danger",
            note="At once and for good.",
        )
        return pages.Page(
            title=str(obj),
            subtitle="API key",
            facts=[
                ("Name", pages.text(obj.name or "-")),
                ("Kind", pages.text(obj.get_kind_display())),
                ("Belongs to", pages.text(self.owner(obj))),
                ("Limited to customers", pages.text(limited)),
                ("State", pages.state("revoked" if obj.revoked_at else "live")),
                ("Created", pages.instant(obj.created_at)),
                ("Expires", pages.instant(obj.expires_at)),
                ("Revoked", pages.instant(obj.revoked_at)),
                ("Last used", pages.instant(obj.last_used_at)),
            ],
            buttons=[] if obj.revoked_at else [revoke],
        )

    def revoke(self, request: HttpRequest, key_id: int) -> HttpResponse:
        require_controller(request)
        key = self.seen(request, str(key_id))
        if request.method == "POST":
            attempt(
                request,
                lambda: api_keys.revoke_api_key(
                    key=key,
                    now=clock.now(),
                    actor=user_of(request),
                    actor_name=actor_of(request),
                ),
                f"{key} is revoked.",
            )
        return self.back_to(key)
