"""What needs somebody: the checks behind every verdict, and the alerts that they raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

from apps.core.metrics import POOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric


class LaterCollector:
    """Loads what knows the pool's figures at the first scrape: every process would carry 24 MiB of it."""

    def collect(self) -> Iterator[Metric]:
        """Read the figures."""
        from apps.checks.metrics import PoolCollector  # 24 MiB, and models

        return PoolCollector().collect()


class ChecksConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.checks"
    label = "pool_checks"

    def ready(self) -> None:
        """Add the pool's figures to `/metrics`."""
        POOL.register(LaterCollector())
