"""Steps of migrations that run while consoles of the last version write: repeatable indexes, contract steps.

First a version expands the tables, in a way that the last one can live with; a later one contracts them, once
nobody needs what it takes away.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState


class AddIndexBesideWriters(AddIndexConcurrently):
    """Adds an index without a lock against writers; the only step of a migration with `atomic = False`.

    What a killed attempt left of it is removed first, and one that is there already is kept.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Create the index unless it is there and valid."""
        if schema_editor.collect_sql:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        name = schema_editor.quote_name(self.index.name)
        with schema_editor.connection.cursor() as cursor:
            cursor.execute("select indisvalid from pg_index where indexrelid = to_regclass(%s)", [name])
            row = cursor.fetchone()
            if row == (True,):
                return
            cursor.execute("show lock_timeout")
            (usual,) = cursor.fetchone()
            # It holds back no writer, and waits for the end of every transaction that began before.
            cursor.execute("set lock_timeout = 0")
            if row is not None:
                cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            cursor.execute("select set_config('lock_timeout', %s, false)", [usual])


class ContractMigration(Migration):
    """Removes what older versions use; then only versions that know the migration `needs` run."""

    needs: ClassVar[tuple[str, str]]
    """App and name of the migration whose version was the first that can do without."""

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        """Change the tables and record the oldest version that may run, in one transaction."""
        state = super().apply(project_state, schema_editor, collect_sql)
        if not collect_sql:
            with schema_editor.connection.cursor() as cursor:
                cursor.execute(
                    "insert into core_contractstep (migration, needs) values (%s, %s) on conflict do nothing",
                    [f"{self.app_label}.{self.name}", ".".join(self.needs)],
                )
        return state
