"""The addresses that the pool can sign for, and what was signed."""

from __future__ import annotations

from django.apps import AppConfig


class WalletsConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.wallets"
    label = "wallets"
