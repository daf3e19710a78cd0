"""The devnet as a Django app: it owns the command `manage.py devnet` and nothing else."""

from __future__ import annotations

from django.apps import AppConfig


class DevnetConfig(AppConfig):
    """No models, no pages."""

    name = "poolsite.devnet"
    label = "devnet"
    verbose_name = "Devnet"
