"""Automatic rules: what the pool does by itself within limits that a person set."""

from __future__ import annotations

from django.apps import AppConfig


class AutomationConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.automation"
    label = "automation"
