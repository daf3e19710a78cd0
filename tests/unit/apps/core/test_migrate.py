"""Migrations beside writers: nobody waits for long, and a killed one is done again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest
from django.core.management import call_command
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from apps.core.leader import database_params
from apps.core.migration_steps import AddIndexBesideWriters

pytestmark = pytest.mark.django_db(transaction=True)

BLOCKED_MAX_S: Final = 1.0
WRITE: Final = (
    "insert into core_processlease (session, machine, process, until, is_given_up) "
    "values (%s, '', '', now(), false)"
)


@pytest.fixture
def before() -> Iterator[None]:
    """Tables as they were before the newest migration of core; migrated again at the end."""
    MigrationExecutor(connection).migrate([("core", "0001_process_leases")])
    yield
    call_command("migrate", verbosity=0, skip_checks=True)


def connect() -> Any:
    """Open a session beside Django's."""
    return closing(psycopg2.connect(**database_params()))


@pytest.mark.timing
def test_writers_do_not_wait_while_a_migration_waits_for_its_table(before: None) -> None:
    waits: list[float] = []
    is_over = threading.Event()

    def write() -> None:
        with connect() as link:
            link.autocommit = True
            with link.cursor() as cursor:
                while not is_over.is_set():
                    began = time.monotonic()
                    cursor.execute(WRITE, [f"{began}"])
                    waits.append(time.monotonic() - began)
                    time.sleep(0.01)

    writer = threading.Thread(target=write)
    with connect() as reader, reader.cursor() as cursor:
        cursor.execute("select count(*) from core_processlease")  # its transaction keeps the table's lock
        release = threading.Timer(2.0, reader.rollback)
        release.start()
        writer.start()
        began = time.monotonic()
        call_command("migrate", verbosity=0, skip_checks=True)
        took = time.monotonic() - began
        is_over.set()
        writer.join()
        release.join()

    assert took > 1.5, "it waited for the reader"
    assert ("core", "0002_contract_steps") in MigrationRecorder(connection).applied_migrations()
    assert len(waits) > 10
    assert max(waits) < BLOCKED_MAX_S


def test_an_index_that_a_killed_run_left_is_made_again() -> None:
    step = AddIndexBesideWriters("job", models.Index(fields=["error"], name="made_up"))
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    step.state_forwards("sectors", after)

    def add() -> tuple[int, bool]:
        with connection.schema_editor(atomic=False) as editor:
            step.database_forwards("sectors", editor, before, after)
        with connection.cursor() as cursor:
            cursor.execute(
                "select indexrelid::int, indisvalid from pg_index where indexrelid = 'made_up'::regclass"
            )
            oid, is_valid = cursor.fetchone()
        return oid, is_valid

    try:
        first, is_valid = add()
        assert is_valid
        assert add() == (first, True), "it is kept"
        with connection.cursor() as cursor:
            cursor.execute("update pg_index set indisvalid = false where indexrelid = 'made_up'::regclass")
            cursor.execute("set lock_timeout = '250ms'")
        again, is_valid = add()
        assert is_valid
        assert again != first
        with connection.cursor() as cursor:
            cursor.execute("show lock_timeout")
            assert cursor.fetchone() == ("250ms",)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("drop index if exists made_up")
            cursor.execute("reset lock_timeout")
