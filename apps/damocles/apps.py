"""Damocles' dialect: what damocles-workers ask of the pool and report to it."""

from __future__ import annotations

from django.apps import AppConfig


class DamoclesConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.damocles"
    label = "damocles"
