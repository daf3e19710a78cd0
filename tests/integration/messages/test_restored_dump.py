"""A real dump is loaded after its messages have landed: nothing is paid twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection

from apps.messages.models import Message, Sender
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState
from poolsite.embedded.database import login_of, program_run
from poolsite.embedded.errors import BackupRefused
from poolsite.embedded.restore import dump_load
from tests.messaging import Pool, pool_world
from tests.unit.apps.messages.recovery import heads, paid, without_ids

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


def server() -> dict[str, Any]:
    """Return the test database as DATABASES has it; others keep sessions, which hinder a restore."""
    row = dict(connection.settings_dict)
    connection.close()
    return row | {"PORT": row["PORT"] or os.environ.get("PGPORT", "5432")}


def dump_take(tmp_path: Path) -> Path:
    """Dump the test database as `make backup` does."""
    row = server()
    dump = tmp_path / "database.dump"
    program_run("pg_dump", "--format=custom", f"--file={dump}", row["NAME"], login=login_of(row))
    return dump


def databases() -> set[str]:
    """Return the names of all databases that begin with the test's."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select datname from pg_database where starts_with(datname, %s)",
            [connection.settings_dict["NAME"]],
        )
        return {name for (name,) in cursor.fetchall()}


def restore(dump: Path) -> None:
    """Load a dump as `make restore` does, from before an upgrade that added a table."""
    with connection.cursor() as cursor:
        cursor.execute("create table newer (message varchar references messages_message)")
        cursor.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    row = server()
    replaced = dump_load(row, dump)
    program_run("dropdb", replaced, login=login_of(row))


def test_refused_restore_leaves_the_pools_database(transactional_db: None, tmp_path: Path) -> None:
    before, dump = databases(), dump_take(tmp_path)
    session = connection.get_connection_params()
    session.pop("cursor_factory", None)

    with closing(psycopg2.connect(**session)), pytest.raises(BackupRefused, match="accessed by other users"):
        dump_load(server(), dump)

    assert databases() == before
    assert not Message.objects.exists(), "it can be read"


@pytest.mark.parametrize("has_ids", [True, False], ids=["our signer", "venus-wallet"])
@pytest.mark.parametrize("count", [*(pytest.param(one, marks=pytest.mark.slow) for one in (0, 1, 1000)), 100])
def test_restored_dump_pays_nothing_twice(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, has_ids: bool
) -> None:
    if not has_ids:
        without_ids(pool, monkeypatch)
    address = pool.address(fil=10**6)
    pool.push("before", address, value=1000)
    restore_check(now=pool.now)
    heads(pool, 3)
    pool.push_many(count, address)
    Sender.objects.update(quota=600)
    dump = dump_take(tmp_path)
    pool.choose()
    heads(pool, 4)
    assert len(paid(pool, address)) == count + 1

    restore(dump)
    assert Message.objects.filter(state=MessageState.UNFILLED).count() == count
    row = restore_check(now=pool.now)
    assert row.since is not None
    assert "restored or moved" in row.reason
    heads(pool, 4)

    assert len(paid(pool, address)) == count + 1
    assert Message.objects.filter(state=MessageState.LANDED).count() == count + 1
    assert recovery_now() is None
    after: dict[str, Any] = {"value": 7777}
    pool.push("after", address, **after)
    pool.choose()
    heads(pool, 2)
    assert pool.nonces_on_chain(address) == list(range(count + 2))
