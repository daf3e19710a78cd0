"""The site's addresses: health for machines, the machine interfaces, then the pages."""

from __future__ import annotations

from django.urls import include, path

from apps.api.metrics import metrics
from apps.api.readiness import readyz
from apps.core import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("", include("apps.api.urls")),
    path("", include("apps.dashboard.urls")),
]

handler400 = "apps.core.health.bad_request"
handler404 = "apps.dashboard.pages.missing.missing"
handler500 = "apps.core.health.failure"
