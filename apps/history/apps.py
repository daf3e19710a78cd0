"""What was measured of miners, hosts, stores, wallets and gas, kept for a year."""

from __future__ import annotations

from django.apps import AppConfig


class HistoryConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.history"
    label = "history"
