"""A database says which versions of the console may run on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from apps.core.clock import now
from apps.core.leader import BLOCKS_LOCK, Leadership
from apps.core.migration_steps import ContractMigration
from apps.core.models import ContractStep, ProcessLease
from apps.core.older_consoles import processes_older
from apps.core.process_leases import PACE
from apps.core.process_leases import ProcessLease as Lease
from apps.core.versions import migrations_known, migrations_missing, migrations_newest, version_refusal

pytestmark = pytest.mark.django_db

NEEDS = "core.0002_contract_steps"


class Contract(ContractMigration):
    """One that takes nothing away."""

    needs = ("core", "0002_contract_steps")
    operations = [migrations.RunPython(migrations.RunPython.noop)]


def apply(one: ContractMigration) -> None:
    """Apply a migration that nobody has."""
    state = MigrationLoader(connection).project_state()
    with connection.schema_editor(atomic=one.atomic) as editor:
        one.apply(state, editor)


def at_work(knows: dict[str, str], **facts: Any) -> ProcessLease:
    """Return the lease of a process whose newest migrations are these."""
    facts = {
        "session": "s",
        "machine": "m",
        "process": "tasks",
        "until": now() + timedelta(minutes=1),
    } | facts
    return ProcessLease.objects.create(knows=knows, **facts)


def test_the_files_are_all_migrations_that_there_are() -> None:
    on_disk = MigrationLoader(connection).disk_migrations

    assert migrations_known() == {f"{app}.{name}" for app, name in on_disk}
    assert all(f"{app}.{name}" in migrations_known() for app, name in migrations_newest().items())
    assert migrations_missing() == []


def test_a_contract_step_says_who_may_run() -> None:
    apply(Contract("9999_drop", "sectors"))
    assert version_refusal() == ""
    assert ContractStep.objects.get().needs == NEEDS

    ContractStep.objects.update(needs="core.9998_of_tomorrow")

    assert version_refusal() == (
        "the database no longer allows this version: sectors.9999_drop was applied, "
        "and only versions that have core.9998_of_tomorrow may run since"
    )


def test_a_console_that_is_too_old_or_too_new_is_not_ready(
    client: Client, pool_redis: str, settings: Any
) -> None:
    settings.READY_PROCESSES = []
    assert client.get("/readyz").json()["version"] == "ok"

    ContractStep.objects.create(migration="sectors.9999_drop", needs="core.9998_of_tomorrow")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["version"].startswith(
        "the database no longer allows this version: sectors.9999_drop"
    )

    with connection.cursor() as cursor:
        cursor.execute("delete from django_migrations where app = 'core' and name = '0002_contract_steps'")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["version"] == f"the database was not migrated to this version yet: it lacks {NEEDS}"


def test_processes_that_do_not_know_a_migration_are_named() -> None:
    at_work({"core": "0002_contract_steps"}, session="new")
    at_work({"core": "0003_later"}, session="newer")
    assert processes_older(NEEDS) == []

    at_work({"core": "0001_process_leases"}, session="old", process="web-1")
    at_work({}, session="mute", process="follower")
    at_work({}, session="dead", until=now() - timedelta(seconds=1))
    at_work({}, session="given up", is_given_up=True)

    assert processes_older(NEEDS) == ["follower on m", "web-1 on m"]


def test_a_leader_of_a_version_without_leases_is_older() -> None:
    with Leadership(BLOCKS_LOCK) as old:
        assert old.try_lead()
        assert processes_older(NEEDS) == ["a leader of a version without leases"]


def test_a_process_says_what_it_knows() -> None:
    lease = Lease(PACE, session="mine", machine="m", process="tasks")
    lease.renew()
    assert ProcessLease.objects.get(session="mine").knows == migrations_newest()
    lease.end()


def test_a_contract_step_waits_until_no_older_version_works(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [(Contract("9999_drop", "sectors"), False)]
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: plan)
    at_work({"core": "0001_process_leases"})

    with pytest.raises(
        CommandError, match=r"takes away what a version without core.0002_contract_steps needs, and"
    ):
        call_command("migrate", verbosity=0, skip_checks=True)

    assert not ContractStep.objects.exists()
