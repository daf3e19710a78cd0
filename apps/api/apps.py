"""All machine interfaces: REST for programs of the pool and of tenants, JSON-RPC for Go clients."""

from __future__ import annotations

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.api"
    label = "api"
