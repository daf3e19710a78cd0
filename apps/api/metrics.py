"""`/metrics`: the figures of all processes and of the pool, for Prometheus."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.checks.report.metrics import PoolCollector
from apps.core.health import may_read_metrics
from apps.core.metrics import exposition


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the figures, to this machine or to the bearer of METRICS_TOKEN; others see no such page."""
    if not may_read_metrics(request):
        raise Http404
    return HttpResponse(exposition(PoolCollector()), content_type=CONTENT_TYPE_LATEST)
