"""Pieces as they were before a migration."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def pieces_as_of(migration: str) -> Any:
    """Go back to a migration, and return what pieces were then."""
    connection.check_constraints()  # else events of triggers wait, and no column is dropped
    executor = MigrationExecutor(connection)
    executor.migrate([("pieces", migration)])
    return executor.loader.project_state([("pieces", migration)]).apps.get_model("pieces", "Piece")


def migrate_all(*, by_way_of: str) -> None:
    """Go forward to the last migration, with a stop at one whose changes are checked before later ones."""
    connection.check_constraints()
    MigrationExecutor(connection).migrate([("pieces", by_way_of)])
    connection.check_constraints()
    call_command("migrate", verbosity=0, skip_checks=True)
