"""`manage.py migrate`: Django's, but that it holds up no writer and takes nothing from consoles at work.

A change of a table waits for its lock half a second at most, as every writer waits behind it; then it gives
up, is rolled back, and is tried again.  A contract step is refused while a version is at work that needs what
it takes away.
"""

from __future__ import annotations

import random
import time
from typing import Any, Final

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from psycopg2.errors import DeadlockDetected, LockNotAvailable

from apps.core.migration_steps import ContractMigration
from apps.core.older_consoles import processes_older

LOCK_WAIT: Final = "500ms"
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between two tries; the last one stays."""


class Command(migrate.Command):
    """Migrates beside consoles that work."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate; raises CommandError if a contract step would take something from a console at work."""
        link = connections[options["database"]]
        tries = 0
        while True:
            self.contract_check(link)
            with link.cursor() as cursor:
                cursor.execute("set lock_timeout = %s", [LOCK_WAIT])
            try:
                super().handle(*args, **options)
            except OperationalError as error:
                if link.in_atomic_block or not isinstance(
                    error.__cause__, LockNotAvailable | DeadlockDetected
                ):
                    raise
                link.close()
                self.stderr.write(f"waiting for a table that others are using: {error}".rstrip())
                time.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)] * random.uniform(0.75, 1.0))  # noqa: S311
                tries += 1
            else:
                with link.cursor() as cursor:
                    cursor.execute("reset lock_timeout")
                return

    def contract_check(self, link: Any) -> None:
        """Refuse contract steps for which versions at work are too old.  Raises CommandError."""
        executor = MigrationExecutor(link)
        for one, is_backwards in executor.migration_plan(executor.loader.graph.leaf_nodes()):
            if is_backwards or not isinstance(one, ContractMigration):
                continue
            if older := processes_older(".".join(one.needs)):
                raise CommandError(
                    f"{one.app_label}.{one.name} takes away what a version without {'.'.join(one.needs)} "
                    f"needs, and these are at work: {', '.join(older)}: upgrade or stop them first"
                )
