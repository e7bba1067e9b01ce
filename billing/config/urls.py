"""Every address of the service, by the part that answers it."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from billing.api.problems import unknown_path
from billing.config.health import healthz

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/", include("billing.api.urls")),
    path("api/v1/", include("metering.api.urls")),
    path("api/v1/", include("commits.api.urls")),
    re_path("^api/", unknown_path),
    path("", include("commits.web.urls")),
]
