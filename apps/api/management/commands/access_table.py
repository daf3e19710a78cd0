"""`manage.py access_table`: print who may call what, the content of docs/access.md."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.api.access_table import table_markdown


class Command(BaseCommand):
    """Prints the table."""

    help = "Print who may call what, as in docs/access.md."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print it."""
        self.stdout.write(table_markdown(), ending="")
