"""Figures for Prometheus.  Processes share them by files in PROMETHEUS_MULTIPROC_DIR, if that is set."""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector  # type: ignore[import-untyped,unused-ignore]
from prometheus_client.registry import Collector

from poolsite.tracing import entry_note

REQUESTS: Final = Counter(
    "poolsite_http_requests_total", "HTTP requests answered.", ["method", "route", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    "poolsite_http_request_seconds",
    "Time from request to response.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
RETRIEVALS: Final = Counter(
    "poolsite_piece_retrievals_total", "Retrievals of pieces without a token that began.", ["miner"]
)
RETRIEVED_BYTES: Final = Counter(
    "poolsite_piece_retrieved_bytes_total", "Bytes sent by retrievals of pieces without a token.", ["miner"]
)


def request_count(method: str, route: str, status: int, *, seconds: float) -> None:
    """Count a request that was answered, and name its span."""
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    entry_note(f"{method} {route}", {"http.route": route, "http.response.status_code": status})


def exposition(pool: Collector) -> bytes:
    """Render the figures of all processes, and of the pool; without shared files, of this process alone."""
    figures = CollectorRegistry(auto_describe=False)
    figures.register(pool)
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(REGISTRY) + generate_latest(figures)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped in the library
    return generate_latest(registry) + generate_latest(figures)
