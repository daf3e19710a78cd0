"""Miner actors: what the pool knows of them and which address does what for them."""

from __future__ import annotations

from django.apps import AppConfig


class MinersConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.miners"
    label = "miners"
