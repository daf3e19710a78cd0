"""Sectors on their way to the chain: numbers, jobs, leases, batches."""

from __future__ import annotations

from django.apps import AppConfig


class SectorsConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.sectors"
    label = "sectors"
