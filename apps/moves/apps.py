"""Miners that move into the pool from another program, and back."""

from __future__ import annotations

from django.apps import AppConfig


class MovesConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.moves"
    label = "moves"
