"""Billing's addresses under /api/v1/."""

from django.urls import path

from billing.api import credit_notes, periods, views

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
    path(
        "invoices/<uuid:invoice_id>/credit-notes",
        credit_notes.CreditNotesView.as_view(),
        name="credit-notes",
    ),
    path("credit-notes/<uuid:note_id>/reject", credit_notes.CreditNoteRejectView.as_view()),
    path("credit-notes/<uuid:note_id>/refunded", credit_notes.CreditNoteRefundedView.as_view()),
    path("credit-notes/<uuid:note_id>/push", credit_notes.CreditNotePushView.as_view()),
    path("accounting-periods", periods.PeriodsView.as_view(), name="accounting-periods"),
    path("accounting-periods/<str:month>/unlock", periods.PeriodUnlockView.as_view()),
    path("period-unlocks/<uuid:unlock_id>/approve", periods.UnlockApproveView.as_view()),
    path("period-unlocks/<uuid:unlock_id>/reject", periods.UnlockRejectView.as_view()),
    path("webhooks/stripe", views.StripeWebhookView.as_view(), name="stripe-webhook"),
]
