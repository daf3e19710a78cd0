"""What needs somebody: the checks behind every verdict, and the alerts that they raise."""

from __future__ import annotations

from django.apps import AppConfig


class ChecksConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.checks"
    label = "pool_checks"
