"""Sectors on their way to the chain: numbers, jobs, leases, batches."""

from __future__ import annotations

from django.apps import AppConfig

from apps.sectors.rules.policy import policy_check


class SectorsConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.sectors"
    label = "sectors"

    def ready(self) -> None:
        """Check the pool's values of the policy.  Raises ImproperlyConfigured."""
        policy_check()
