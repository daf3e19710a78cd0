"""Block production for the pool's miners: a round for each miner and epoch."""

from __future__ import annotations

from django.apps import AppConfig


class BlocksConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.blocks"
    label = "blocks"
