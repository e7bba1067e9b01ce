"""Metering's addresses under /api/v1/."""

from django.urls import path, re_path

from metering.api import cross_checks, events, private_prices, views, waivers

urlpatterns = [
    path("usage", views.UsageView.as_view(), name="usage"),
    path("usage/cross-checks", cross_checks.CrossChecksView.as_view(), name="cross-checks"),
    path("customers/<str:key>/usage", views.CustomerUsageView.as_view(), name="customer-usage"),
    path("customers/<str:key>/usage/events", events.EventsView.as_view(), name="customer-events"),
    re_path(
        r"^customers/(?P<key>[^/]+)/usage/events\.(?P<form>csv|jsonl)$",
        events.EventsExportView.as_view(),
        name="customer-events-export",
    ),
    path("customers/<str:key>/rate", views.CustomerRateView.as_view(), name="customer-rate"),
    path("prices", views.PricesView.as_view(), name="prices"),
    path("private-prices", private_prices.PrivatePricesView.as_view(), name="private-prices"),
    path(
        "private-prices/<uuid:request_id>/approve",
        private_prices.PrivatePriceApproveView.as_view(),
    ),
    path(
        "private-prices/<uuid:request_id>/reject", private_prices.PrivatePriceRejectView.as_view()
    ),
    path("unrated", waivers.UnratedView.as_view(), name="unrated"),
    path("waivers", waivers.WaiversView.as_view(), name="waivers"),
    path("waivers/<uuid:waiver_id>/approve", waivers.WaiverApproveView.as_view()),
    path("waivers/<uuid:waiver_id>/reject", waivers.WaiverRejectView.as_view()),
    path("meters", views.MetersView.as_view(), name="meters"),
]
