"""Metering's addresses under /api/v1/."""

from django.urls import path

from metering.api import views

urlpatterns = [
    path("usage", views.UsageView.as_view(), name="usage"),
    path("customers/<str:key>/usage", views.CustomerUsageView.as_view(), name="customer-usage"),
    path("customers/<str:key>/rate", views.CustomerRateView.as_view(), name="customer-rate"),
    path("prices", views.PricesView.as_view(), name="prices"),
    path("meters", views.MetersView.as_view(), name="meters"),
]
