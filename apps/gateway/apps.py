"""The hub: requests to remote signers and provers; knows ids and bytes, no domain."""

from __future__ import annotations

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.gateway"
    label = "gateway"
