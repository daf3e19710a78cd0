"""`manage.py import_sophon_auth FILE`: take over users, tokens, miners, signers and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.api.management.caller import COMMAND
from apps.core.errors import BadValue
from apps.users.services.sophon_import import sophon_import


class Command(BaseCommand):
    """All or nothing; safe to repeat."""

    help = "Import a sophon-auth badger export (JSON lines) or MySQL dump; every token stays valid."

    def add_arguments(self, parser: CommandParser) -> None:
        """One file."""
        parser.add_argument("file", type=Path)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import it and say what came over and what did not."""
        path: Path = options["file"]
        try:
            with path.open() as lines:
                imported = sophon_import(lines, name=path.name, by=COMMAND)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except (BadValue, UnicodeDecodeError) as error:
            raise CommandError(f"{path}: {error}") from None
        for sentence in imported.skipped:
            self.stderr.write(f"skipped: {sentence}")
        made = ", ".join(f"{count} {name}" for name, count in sorted(imported.made.items()) if count)
        self.stdout.write(f"imported {made or 'nothing new'}")
