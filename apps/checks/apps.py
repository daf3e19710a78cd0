"""What needs somebody: the checks behind every verdict, and the alerts that they raise."""

from __future__ import annotations

from django.apps import AppConfig

from apps.core.metrics import POOL


class ChecksConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.checks"
    label = "pool_checks"

    def ready(self) -> None:
        """Add the pool's figures to `/metrics`."""
        from apps.checks.metrics import PoolCollector

        POOL.register(PoolCollector())
