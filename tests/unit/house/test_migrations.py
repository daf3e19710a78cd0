"""A new migration runs while consoles of the last version write: it holds up none and takes nothing away.

Judged by django-migration-linter from its SQL, and from its operations where SQL does not tell
(docs/decisions/0040-expand-then-contract.md).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib.postgres.operations import (
    AddConstraintNotValid,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django_migration_linter.sql_analyser.analyser import analyse_sql_statements, get_sql_analyser_class

from apps.core.migration_steps import AddIndexBesideWriters, ContractMigration

pytestmark = pytest.mark.django_db(transaction=True)

BEFORE: Final = Path(__file__).with_name("migrations_before.txt")
CONTRACTS: Final = ("DROP_COLUMN", "DROP_TABLE", "RENAME_COLUMN", "RENAME_TABLE")
"""What only a contract step may do."""
ALONE: Final = (AddIndexBesideWriters, RemoveIndexConcurrently, ValidateConstraint)
IN_PARTS: Final = ("jobevent", "messageevent")
"""Models whose tables `apps.core.month_parts` keeps."""
DATA: Final = (migrations.RunPython, migrations.RunSQL)


def exempt() -> set[str]:
    """Return the names in the list of those that are not judged."""
    return {line.split("#")[0].strip() for line in BEFORE.read_text().splitlines()} - {""}


def own_migrations() -> dict[str, migrations.Migration]:
    """Return our migrations by name."""
    found = MigrationLoader(connection).disk_migrations
    return {f"{app}.{name}": one for (app, name), one in found.items() if one.__module__.startswith("apps.")}


def sql_of(one: migrations.Migration) -> list[str]:
    """Return the SQL that a migration would run on the tables before it."""
    loader = MigrationLoader(connection)
    key = (one.app_label, one.name)
    is_ours = key in loader.graph.nodes
    state = loader.project_state(key, at_end=False) if is_ours else loader.project_state()
    with connection.schema_editor(collect_sql=True, atomic=one.atomic) as editor:
        one.apply(state, editor, collect_sql=True)
    return ["BEGIN;", *editor.collected_sql] if one.atomic else list(editor.collected_sql)


def issues_of(one: migrations.Migration) -> list[str]:
    """Return what is wrong with a migration, in words."""
    told = sql_of(one)
    made = {name for sql in told for name in re.findall(r'^CREATE TABLE ("\w+")', sql)}
    is_contract = isinstance(one, ContractMigration)
    linter = get_sql_analyser_class("postgresql")
    errors, _, warnings = analyse_sql_statements(linter, told, CONTRACTS if is_contract else ())
    found = [issue.message for issue in (*errors, *warnings)]
    for sql in told:
        added = re.match(r'ALTER TABLE ("\w+") ADD CONSTRAINT .*', sql)
        if added and added[1] not in made and "NOT VALID" not in sql and "USING INDEX" not in sql:
            found.append(f"a constraint of {added[1]} is checked under a lock: NOT VALID, then validated")
    found += [issue for step in one.operations for issue in step_issues(step)]
    is_data = {isinstance(step, DATA) for step in one.operations}
    if one.atomic and is_data == {True, False}:
        found.append(
            "rows are changed under the locks of changed tables: put them into a migration of their own"
        )
    alone = [isinstance(step, ALONE) for step in one.operations]
    if any(alone) and len(alone) > 1:
        found.append("what takes long without locks has a migration of its own")
    if not one.atomic and not all(isinstance(step, (*ALONE, *DATA)) for step in one.operations):
        found.append("a killed run leaves half of it: only repeatable steps go without a transaction")
    return found


def step_issues(step: Operation) -> list[str]:
    """Return what is wrong with one operation."""
    if isinstance(step, migrations.AddField) and not step.field.null and not step.field.has_db_default():
        return [f"{step.model_name}.{step.name} has no db_default: an older version's insert would fail"]
    fields = [step.field] if isinstance(step, migrations.AddField) else []
    fields += [field for _, field in step.fields] if isinstance(step, migrations.CreateModel) else []
    if any(is_key_to_messages(field) for field in fields):
        return ["a foreign key sees no archived messages: db_constraint=False"]
    if isinstance(step, AddIndexBesideWriters) and step.model_name_lower in IN_PARTS:
        return [
            "PostgreSQL makes no index beside writers on a table in parts: make it on each part, then on all"
        ]
    if type(step).__name__ == "AddIndexConcurrently":
        return ["a killed AddIndexConcurrently leaves an invalid index: use AddIndexBesideWriters"]
    return []


def is_key_to_messages(field: models.Field[Any, Any]) -> bool:
    """Return whether the database would look for each value of a field in the table of messages alone."""
    return (
        isinstance(field, models.ForeignKey)
        and str(field.remote_field.model).lower() == "messages.message"
        and vars(field)["db_constraint"]
    )


def test_new_migrations_hold_up_no_writer() -> None:
    found = {name: issues_of(one) for name, one in own_migrations().items() if name not in exempt()}

    assert {name: issues for name, issues in found.items() if issues} == {}


def test_the_list_names_migrations_that_exist() -> None:
    assert exempt() - set(own_migrations()) == set()


def migration(
    *steps: Operation, base: type[migrations.Migration] = migrations.Migration, **facts: Any
) -> Any:
    """Make a migration of the sectors' app that nobody has."""
    made = type("Migration", (base,), {"operations": list(steps), **facts})
    return made("9999_made_up", "sectors")


INDEX: Final = models.Index(fields=["error"], name="made_up")
CHECK: Final = models.CheckConstraint(condition=models.Q(ms__gte=0), name="made_up")
KEY: Final = models.ForeignKey("messages.Message", null=True, on_delete=models.PROTECT)


@pytest.mark.parametrize(
    ("one", "issue"),
    [
        (migration(migrations.AddIndex("job", INDEX)), "CREATE INDEX locks table"),
        (
            migration(migrations.AddConstraint("jobevent", CHECK)),
            'a constraint of "sectors_jobevent" is checked under a lock: NOT VALID, then validated',
        ),
        (
            migration(
                migrations.AddConstraint("jobevent", models.UniqueConstraint(fields=["at"], name="made_up"))
            ),
            "ADDING unique constraint",
        ),
        (migration(migrations.RemoveField("jobevent", "note")), "DROPPING columns"),
        (migration(migrations.RenameField("jobevent", "note", "words")), "RENAMING columns"),
        (
            migration(migrations.AlterField("jobevent", "seq", models.TextField(null=True))),
            "ALTERING columns",
        ),
        (
            migration(migrations.AddField("jobevent", "made_up", models.IntegerField(default=0))),
            "jobevent.made_up has no db_default: an older version's insert would fail",
        ),
        (
            migration(
                migrations.AddField("jobevent", "made_up", models.IntegerField(null=True)),
                migrations.RunPython(migrations.RunPython.noop),
            ),
            "rows are changed under the locks of changed tables: put them into a migration of their own",
        ),
        (
            migration(
                AddIndexBesideWriters("job", INDEX),
                migrations.RunPython(migrations.RunPython.noop),
                atomic=False,
            ),
            "what takes long without locks has a migration of its own",
        ),
        (
            migration(
                AddIndexBesideWriters("jobevent", models.Index(fields=["note"], name="made_up")), atomic=False
            ),
            "PostgreSQL makes no index beside writers on a table in parts",
        ),
        (
            migration(migrations.AddField("jobevent", "made_up", KEY)),
            "a foreign key sees no archived messages: db_constraint=False",
        ),
        (
            migration(AddConstraintNotValid("jobevent", CHECK), ValidateConstraint("jobevent", "made_up")),
            "what takes long without locks has a migration of its own",
        ),
    ],
)
def test_a_bad_migration_is_refused(one: migrations.Migration, issue: str) -> None:
    assert [found for found in issues_of(one) if found.startswith(issue)]


@pytest.mark.parametrize(
    "one",
    [
        migration(AddIndexBesideWriters("job", INDEX), atomic=False),
        migration(AddConstraintNotValid("jobevent", CHECK)),
        migration(ValidateConstraint("jobevent", "made_up")),
        migration(migrations.AddField("jobevent", "made_up", models.IntegerField(default=0, db_default=0))),
        migration(
            migrations.RemoveField("jobevent", "note"),
            base=ContractMigration,
            needs=("sectors", "0027_finding_kinds"),
        ),
    ],
)
def test_a_good_one_is_not(one: migrations.Migration) -> None:
    assert issues_of(one) == []
