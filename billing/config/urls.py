"""Every address of the service, by the part that answers it."""

from django.contrib import admin
from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from billing.config.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
]
