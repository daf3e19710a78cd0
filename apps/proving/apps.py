"""Deadlines: proofs of storage, faults and recoveries."""

from __future__ import annotations

from django.apps import AppConfig


class ProvingConfig(AppConfig):
    """Registers this app under its short label."""

    name = "apps.proving"
    label = "proving"
