"""A real dump is read in after its messages have landed: pg_dump, pg_restore, and nothing is paid twice."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2
import pytest
from django.db import connection

from apps.messages.models import Message, Sender
from apps.messages.selectors.recovery import recovery_now
from apps.messages.services.recovery.detect import restore_check
from apps.messages.states import MessageState
from poolsite.embedded.programs import postgres_programs
from tests.messaging import Pool, pool_world
from tests.unit.apps.messages.recovery import heads, paid, without_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db(transaction=True)

OPERATIONS: Final = Path(__file__).parents[3] / "docs/operations.md"


@pytest.fixture
def pool(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    with pool_world(monkeypatch) as pool:
        yield pool


def program(name: str, *arguments: str) -> None:
    """Run a program of PostgreSQL on the test's server."""
    place = connection.settings_dict
    asked = ["--host", str(place["HOST"]), "--port", str(place["PORT"] or os.environ.get("PGPORT", "5432"))]
    who = ["--username", str(place["USER"])]
    connection.close()
    subprocess.run([postgres_programs() / name, *asked, *who, *arguments], check=True, timeout=120)


def restore(file: str) -> None:
    """Load a dump as docs/operations.md says, from before an upgrade that added a table."""
    with connection.cursor() as cursor:
        cursor.execute("create table newer (message varchar references messages_message)")
    name = str(connection.settings_dict["NAME"])
    program("createdb", f"{name}_restored")
    program("pg_restore", "--single-transaction", "--dbname", f"{name}_restored", file)
    # other threads of the tests keep sessions
    end = f"select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = '{name}'"
    program("psql", "--quiet", "--output=/dev/null", "--dbname=postgres", "--command", end)
    rename(name)
    program("dropdb", f"{name}_replaced")


def rename(name: str) -> None:
    """Put the restored database in the place of this one, by the statements of docs/operations.md."""
    [statements] = re.findall(r"--command='(ALTER DATABASE [^']*)'", OPERATIONS.read_text())
    names = {"poolsite": name, "restored": f"{name}_restored", "replaced": f"{name}_replaced"}
    statements = re.sub("|".join(names), lambda found: f'"{names[found[0]]}"', statements)
    program("psql", "--quiet", "--dbname=postgres", "--command", statements)


def test_refused_rename_leaves_the_pools_database(transactional_db: None) -> None:
    name = str(connection.settings_dict["NAME"])
    program("createdb", f"{name}_restored")
    try:
        here = connection.get_connection_params() | {"dbname": f"{name}_restored"}
        here.pop("cursor_factory", None)
        with closing(psycopg2.connect(**here)), pytest.raises(subprocess.CalledProcessError):
            rename(name)
        assert not Message.objects.exists(), "it can be read"
    finally:
        program("dropdb", f"{name}_restored")


@pytest.mark.parametrize("has_ids", [True, False], ids=["our signer", "venus-wallet"])
@pytest.mark.parametrize("count", [0, 1, 100, 1000])
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
    file = str(tmp_path / "pool.dump")
    program("pg_dump", "--format=custom", "--file", file, str(connection.settings_dict["NAME"]))
    pool.choose()
    heads(pool, 4)
    assert len(paid(pool, address)) == count + 1

    restore(file)
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
