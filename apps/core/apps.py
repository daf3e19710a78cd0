"""What every process does first, whatever it is for."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from apps.core.catalogue import catalogue_compile


class CoreConfig(AppConfig):
    """Registers this app, has the texts of the pages compiled, and knows every app's reasons."""

    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        """Compile the texts where they have changed; load the reasons."""
        catalogue_compile()
        autodiscover_modules("reasons")
