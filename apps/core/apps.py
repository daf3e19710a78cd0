"""What every process does first, whatever it is for."""

from __future__ import annotations

from django.apps import AppConfig

from apps.core.catalogue import catalogue_compile


class CoreConfig(AppConfig):
    """Registers this app, and has the texts of the pages compiled."""

    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        """Compile the texts where they have changed."""
        catalogue_compile()
