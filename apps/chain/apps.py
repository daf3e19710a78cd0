"""The chain as the pool sees it: its nodes, the newest heads, the clock of epochs."""

from __future__ import annotations

from django.apps import AppConfig


class ChainConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.chain"
    label = "chain"
