"""Billing's addresses under /api/v1/."""

from django.urls import path

from billing.api import views

urlpatterns = [
    path("customers", views.CustomersView.as_view(), name="customers"),
    path("customers/<str:key>", views.CustomerView.as_view(), name="customer"),
    path(
        "customers/<str:key>/invoices",
        views.CustomerInvoicesView.as_view(),
        name="customer-invoices",
    ),
    path(
        "customers/<str:key>/entries", views.CustomerEntriesView.as_view(), name="customer-entries"
    ),
    path("invoices/<uuid:invoice_id>", views.InvoiceView.as_view(), name="invoice"),
    path("invoices/<uuid:invoice_id>/void", views.InvoiceVoidView.as_view(), name="invoice-void"),
    path(
        "invoices/<uuid:invoice_id>/reissue",
        views.InvoiceReissueView.as_view(),
        name="invoice-reissue",
    ),
    path("invoices/<uuid:invoice_id>/push", views.InvoicePushView.as_view(), name="invoice-push"),
    path("webhooks/stripe", views.StripeWebhookView.as_view(), name="stripe-webhook"),
]
