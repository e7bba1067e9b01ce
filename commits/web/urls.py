"""The customer's pages, at the root of the service, and everybody's login."""

from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from billing.web.logins import LoginForm
from commits.web import true_ups, views
from commits.web.access import guarded

app_name = "web"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("usage/", views.usage, name="usage"),
    path("rate/", views.explained, name="rate"),
    path("quarters/", views.quarters, name="quarters"),
    path("invoices/", views.invoices, name="invoices"),
    path("invoices/<uuid:invoice_id>/", views.invoice, name="invoice"),
    path("true-ups/", true_ups.true_ups_page, name="true_ups"),
    path(
        "login/",
        guarded(
            auth.LoginView.as_view(
                template_name="web/login.html",
                redirect_authenticated_user=True,
                authentication_form=LoginForm,
            )
        ),
        name="login",
    ),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        guarded(
            auth.PasswordChangeView.as_view(
                template_name="web/password.html",
                success_url=reverse_lazy("web:password_changed"),
            )
        ),
        name="password",
    ),
    path(
        "password/changed/",
        guarded(auth.PasswordChangeDoneView.as_view(template_name="web/password_changed.html")),
        name="password_changed",
    ),
]
