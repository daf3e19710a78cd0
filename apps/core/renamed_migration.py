"""A migration that was released under another name first: where that one ran, nothing is left to do.

Django's `replaces` would not do: a database that recorded only the later name would be migrated again.
"""

from __future__ import annotations

from typing import ClassVar

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState


class RenamedMigration(Migration):
    """Has the operations of the migration that was named `formerly`."""

    formerly: ClassVar[str]

    def apply(
        self, project_state: ProjectState, schema_editor: BaseDatabaseSchemaEditor, collect_sql: bool = False
    ) -> ProjectState:
        """Change the tables, or only the record of a migration under the former name."""
        recorder = MigrationRecorder(schema_editor.connection)
        if collect_sql or (self.app_label, self.formerly) not in recorder.applied_migrations():
            return super().apply(project_state, schema_editor, collect_sql)
        # Else the tables would be taken for changed when somebody has migrated back and forth.
        recorder.record_unapplied(self.app_label, self.formerly)
        return self.mutate_state(project_state)
