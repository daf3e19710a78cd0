"""How long the longest write waits while the migrations since the last version run beside it.

300,000 messages with as many steps of jobs and twice as many lines of timelines, or `BENCH_MESSAGES`: what
takes longer with more rows holds up nobody, so the waits are those of 3 million.  The limit is a second more
than the longest wait for a table that no migration knows: that one is the machine's own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import django
import psycopg2

from tests.bench.scale_pool import Figure
from tests.bulk_rows import message_copies_insert, row_copies_insert
from tests.servers import PostgresServer
from tests.timing import SITE

MESSAGES: Final = int(os.environ.get("BENCH_MESSAGES") or 300_000)
DATABASE: Final = "upgraded"
BEFORE: Final = (
    ("core", "0002_contract_steps"),
    ("messages", "0015_offline_keys"),
    ("sectors", "0028_defaults_of_older_versions"),
    ("users", "0011_defaults_of_older_versions"),
    ("blocks", "0007_correction_keys"),
)
"""Of the version before."""
CONTROL: Final = "machine"
WRITES: Final = {
    "messages": "insert into messages_messageevent (message_id, at, height, event, text)"
    " values ('seed-1', now(), 1, 'MADE_UP', '')",
    "jobs": "insert into sectors_jobevent"
    " (job_id, at, event, from_state, to_state, stage, actor, note, is_error, digest)"
    " select id, now(), 'FAIL', '', '', '', '', '', false, '' from sectors_job limit 1",
    "sent": "update messages_message set updated_at = now() where id = 'seed-2'",
    CONTROL: "insert into bench_machine default values",
    "job": "update sectors_job set updated_at = now() where id = (select min(id) from sectors_job)",
}
"""What a pool writes all the time: two kinds of events, and the rows that they belong to."""
LIMIT_S: Final = 1.0


class Writer(threading.Thread):
    """Runs one statement again and again; remembers its longest."""

    def __init__(self, statement: str) -> None:
        super().__init__(daemon=True)
        self.statement, self.is_over = statement, threading.Event()
        self.longest_s, self.count = 0.0, 0

    def run(self) -> None:
        """Write until it is over."""
        with contextlib.closing(psycopg2.connect(dbname=DATABASE)) as link:
            link.autocommit = True
            with link.cursor() as cursor:
                while not self.is_over.wait(0.005):
                    began = time.monotonic()
                    cursor.execute(self.statement)
                    self.longest_s = max(self.longest_s, time.monotonic() - began)
                    self.count += 1


@contextlib.contextmanager
def writing() -> Iterator[dict[str, Writer]]:
    """Write meanwhile."""
    writers = {name: Writer(statement) for name, statement in WRITES.items()}
    for writer in writers.values():
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers.values():
            writer.is_over.set()
            writer.join()


def fill() -> None:
    """Make a database of the version before, with many rows."""
    connection = importlib.import_module("django.db").connection
    executor = importlib.import_module("django.db.migrations.executor").MigrationExecutor(connection)
    executor.migrate(list(BEFORE))
    make = importlib.import_module("tests.factories")
    make.message("first", state="LANDED", from_addr=make.bls(1))
    make.sector(make.miner())
    with connection.cursor() as cursor:
        message_copies_insert(cursor, of="id = 'first'", first=1, last=MESSAGES)
        cursor.execute(
            "insert into messages_messageevent (message_id, at, height, event, text)"
            " select 'seed-' || n / 2 + 1, now() - n * interval '1 s', 1, 'MADE_UP', ''"
            " from generate_series(0, %s) n",
            [2 * MESSAGES - 1],
        )
        cursor.execute(WRITES["jobs"])
        series = f"generate_series(1, {MESSAGES}) n"
        row_copies_insert(cursor, "sectors_jobevent", of="id = 1", changed={}, rows=series)
        cursor.execute("create table bench_machine (id bigserial)")
        cursor.execute("vacuum analyze")


@cache
def measure() -> tuple[Figure, ...]:
    """Migrate the database while it is written; then make an index and a constraint of messages."""
    server = PostgresServer()
    server.start()
    os.environ.update(
        DJANGO_SETTINGS_MODULE="poolsite.settings.test",
        PGHOST=str(server.sockets),
        PGUSER="postgres",
        PGDATABASE=DATABASE,
        LOG_LEVEL="ERROR",
    )
    try:
        with contextlib.closing(psycopg2.connect(dbname="postgres")) as link:
            link.autocommit = True
            link.cursor().execute(f"create database {DATABASE}")
        django.setup()
        fill()
        began = time.monotonic()
        with writing() as writers:
            command = [sys.executable, str(SITE / "manage.py"), "migrate", "-v1", "--skip-checks"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            migrated_s = time.monotonic() - began
            began = time.monotonic()
            subprocess.run([sys.executable, "-m", "tests.bench.upgrade"], check=True)
            changed_s = time.monotonic() - began
        longest = {name: writer.longest_s for name, writer in writers.items()}
        assert all(writer.count > 20 for writer in writers.values()), longest
        return (
            Figure("migrating, longest write: a table left alone", own_s := longest.pop(CONTROL), "s"),
            *(
                Figure(f"migrating, longest write: {name}", value, "s", limit=LIMIT_S + own_s)
                for name, value in longest.items()
            ),
            Figure("migrating", migrated_s, "s"),
            Figure("an index and a constraint of messages", changed_s, "s"),
        )
    finally:
        importlib.import_module("django.db").connections.close_all()
        server.stop()


def messages_change() -> None:
    """Add an index and a constraint to messages, as a migration does."""
    django.setup()
    models = importlib.import_module("django.db.models")
    operations = importlib.import_module("django.contrib.postgres.operations")
    steps = importlib.import_module("apps.core.migration_steps")
    connection = importlib.import_module("django.db").connection
    loader = importlib.import_module("django.db.migrations.loader").MigrationLoader(connection)
    check = models.CheckConstraint(condition=models.Q(gas_used__gte=-1), name="bench_check")
    index = models.Index(fields=["to", "nonce"], name="bench_index")
    state = loader.project_state()
    for step in (
        steps.AddIndexBesideWriters("message", index),
        operations.AddConstraintNotValid("message", check),
        operations.ValidateConstraint("message", "bench_check"),
    ):
        after = state.clone()
        step.state_forwards("messages", after)
        with connection.schema_editor(atomic=False) as editor:
            step.database_forwards("messages", editor, state, after)
        state = after


def cases() -> tuple[Figure, ...]:
    """Return the figures: all are of one run."""
    return measure()


def run(case: Any) -> Any:
    """Return one."""
    return case


if __name__ == "__main__":
    messages_change()
