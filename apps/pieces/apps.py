"""Clients' data on its way into sectors: uploads, piece commitments, the raw bytes that are kept."""

from __future__ import annotations

from django.apps import AppConfig


class PiecesConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.pieces"
    label = "pieces"
