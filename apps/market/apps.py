"""Clients' deals with the pool's miners."""

from __future__ import annotations

from django.apps import AppConfig


class MarketConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.market"
    label = "market"
