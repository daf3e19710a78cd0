"""A pool that was migrated before a migration got its present name starts all the same."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

pytestmark = pytest.mark.django_db


def recorded(app: str) -> set[str]:
    """Names of the migrations of an app that the database has recorded."""
    return {name for of, name in MigrationRecorder(connection).applied_migrations() if of == app}


@pytest.mark.parametrize(
    ("app", "formerly", "name"),
    [
        ("proving", "0004_plain_names", "0004_preconditions_and_attempt_states"),
        pytest.param(
            *("sectors", "0016_plain_names", "0016_reports_and_file_checks"),
            marks=[pytest.mark.slow, pytest.mark.django_db(transaction=True)],
        ),  # the same through three times as many migrations, some of which allow no transaction
    ],
)
def test_tables_of_the_former_name_are_not_migrated_again(app: str, formerly: str, name: str) -> None:
    everything = recorded(app)
    MigrationExecutor(connection).migrate([(app, name)])
    MigrationRecorder.Migration.objects.filter(app=app, name=name).update(name=formerly)

    call_command("migrate", verbosity=0, skip_checks=True)

    assert recorded(app) == everything
    before = next(parent for parent in MigrationExecutor(connection).loader.graph.node_map[app, name].parents)
    MigrationExecutor(connection).migrate([before.key])
    assert name not in recorded(app), "it can be undone after that"
    call_command("migrate", verbosity=0, skip_checks=True)
    assert recorded(app) == everything, "and done again"
