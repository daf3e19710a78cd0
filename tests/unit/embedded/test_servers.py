"""`make servers`: a stopped pool moves from its embedded database to another server, whole and once."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.exceptions import ImproperlyConfigured

from poolsite.console_folder import ConsoleFolder
from poolsite.embedded import servers
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.programs import postgres_programs
from tests.servers import RedisServer, folder_new, port_free, postgres_on_tcp
from tests.unit.embedded.running import running

DEBIAN: Path = Path("/usr/lib/postgresql/15/bin")
POOL = "6d1c3d0c-55a4-4d0b-8bd7-0c1d62a06a11"
TABLES = f"""
create table messages_recovery (id int primary key, pool uuid not null, fingerprint jsonb not null);
insert into messages_recovery values (1, '{POOL}', '{{"cluster": "1"}}');
create table book (value int);
insert into book values (1), (2)
"""


@pytest.fixture
def redis_url() -> Iterator[str]:
    redis = RedisServer()
    redis.start()
    yield f"unix://{redis.socket}"
    redis.stop()


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> PoolPaths:
    """A pool's folder with an embedded database that has rows."""
    base = folder_new()
    base.chmod(0o755)
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("POOLSITE_VAR", str(base / "var"))
    found = PoolPaths.of_environment()
    with running(found) as cursor:
        cursor.execute(TABLES)
    return found


def moved(monkeypatch: pytest.MonkeyPatch, answer: str = "yes\n") -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    monkeypatch.setattr(servers, "moved_note", lambda paths, urls: None)
    return servers.main()


def test_a_redis_that_cannot_be_read_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret/x@h/0")

    with pytest.raises(ImproperlyConfigured, match="REDIS_URL cannot be read") as refusal:
        servers.servers_named({"DATABASE_URL": "postgresql://h/pool", "REDIS_URL": "named"})
    assert "s3cret" not in str(refusal.value)


def rows(url: str, query: str) -> list[Any]:
    with closing(psycopg2.connect(url)) as link, link.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


@pytest.mark.parametrize(
    "programs",
    [
        pytest.param(None, id="ours"),
        pytest.param(DEBIAN, id="15", marks=pytest.mark.skipif(not DEBIAN.exists(), reason="not installed")),
    ],
)
def test_a_pool_moves_with_its_rows_and_is_left_nowhere_else(
    paths: PoolPaths, redis_url: str, monkeypatch: pytest.MonkeyPatch, programs: Path | None
) -> None:
    with postgres_on_tcp(programs or postgres_programs()) as url:
        monkeypatch.setenv("DATABASE_URL", f"{url}/pool")
        monkeypatch.setenv("REDIS_URL", redis_url)

        assert moved(monkeypatch, "no\n") == 1
        assert ConsoleFolder.of(paths.var) is None
        assert moved(monkeypatch) == 0

        assert rows(f"{url}/pool", "select value from book order by value") == [(1,), (2,)]
        folder = ConsoleFolder.of(paths.var)
        assert folder is not None
        assert (folder.pool, folder.is_joined) == (POOL, False)
        assert folder.settings == {"DATABASE_URL": f"{url}/pool", "REDIS_URL": redis_url}
        assert not (paths.var / "pg").exists()
        assert moved(monkeypatch) == 1, "once"
    (paths.var / "pg.moved").rename(paths.var / "pg")
    with running(paths) as cursor:
        cursor.execute("select fingerprint from messages_recovery")
        assert cursor.fetchone() == (servers.MOVED,), "who starts it again is in recovery"


def test_what_the_new_servers_lack_or_hold_is_refused_by_name(
    paths: PoolPaths, redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with postgres_on_tcp(postgres_programs()) as url:

        def refusal(**env: str) -> str:
            for name, value in {"DATABASE_URL": f"{url}/pool", "REDIS_URL": redis_url, **env}.items():
                monkeypatch.setenv(name, value)
            capsys.readouterr()
            assert moved(monkeypatch) == 1
            assert (paths.var / "pg" / "PG_VERSION").exists()
            assert ConsoleFolder.of(paths.var) is None
            return capsys.readouterr().err

        with closing(psycopg2.connect(f"{url}/postgres")) as link:
            link.autocommit = True
            for name in ("others", "books"):
                link.cursor().execute(f"create database {name}")
        with closing(psycopg2.connect(f"{url}/others")) as link, link:
            link.cursor().execute(TABLES.replace(POOL, POOL.replace("6", "7")))
        with closing(psycopg2.connect(f"{url}/books")) as link, link:
            link.cursor().execute("create table book (value int)")

        assert "DATABASE_URL: the database others has another pool" in refusal(DATABASE_URL=f"{url}/others")
        assert "books has tables of something else" in refusal(DATABASE_URL=f"{url}/books")
        assert "REDIS_URL: " in refusal(REDIS_URL=f"redis://127.0.0.1:{port_free()}")
        dead = f"postgresql://poolsite@127.0.0.1:{port_free()}/pool"
        assert "DATABASE_URL: " in refusal(DATABASE_URL=dead)
        assert "REDIS_URL: missing" in refusal(REDIS_URL="")


def test_a_move_that_is_killed_before_its_file_is_done_again(
    paths: PoolPaths, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with postgres_on_tcp(postgres_programs()) as url:
        monkeypatch.setenv("DATABASE_URL", f"{url}/pool")
        monkeypatch.setenv("REDIS_URL", redis_url)
        with monkeypatch.context() as patched:
            patched.setattr(ConsoleFolder, "write", dies)
            with pytest.raises(KeyboardInterrupt):
                moved(monkeypatch)
        assert ConsoleFolder.of(paths.var) is None
        with running(paths) as cursor:
            cursor.execute("select fingerprint from messages_recovery")
            assert cursor.fetchone() == ({"cluster": "1"},), "it is the pool as before"
            cursor.execute("insert into book values (3)")

        assert moved(monkeypatch) == 0

        assert rows(f"{url}/pool", "select value from book order by value") == [(1,), (2,), (3,)]
        assert json.loads((paths.var / "console.json").read_text())["pool"] == POOL
