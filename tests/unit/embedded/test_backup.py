"""A pool's database and secrets: backed up while it runs, loaded where none runs."""

from __future__ import annotations

import io
import json
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.embedded import backup, database, restore
from poolsite.embedded.backup import Backup, secret_files
from poolsite.embedded.errors import BackupRefused
from poolsite.embedded.paths import PoolPaths
from poolsite.private_files import private_write
from poolsite.settings.environment import database_from_url, machine_name
from tests.unit.embedded.running import running


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that the account of PostgreSQL may pass."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def paths(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PoolPaths]:
    yield from pool_folder(home / "var", monkeypatch)


def pool_folder(var: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PoolPaths]:
    monkeypatch.setenv("POOLSITE_VAR", str(var))
    paths = PoolPaths.of_environment()
    yield paths
    shutil.rmtree(paths.sockets, ignore_errors=True)
    shutil.rmtree(paths.metrics, ignore_errors=True)


def command(monkeypatch: pytest.MonkeyPatch, module: Any, *words: str | Path, answer: str = "") -> int:
    monkeypatch.setattr(sys, "argv", ["program", *map(str, words)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    return int(module.main())


def values(cursor: Any) -> list[int]:
    cursor.execute("select value from book order by value")
    return [value for (value,) in cursor.fetchall()]


def test_backup_of_a_running_pool_brings_back_rows_and_secrets(
    paths: PoolPaths, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backups = home / "backups"
    with running(paths) as cursor:
        private_write(paths.var / "tokens" / "admin", "first")
        private_write(paths.operator, "{}")
        key = paths.secret_key()
        cursor.execute("create table book (value int); insert into book values (1)")
        cursor.execute(
            "create table core_backup (taken_at timestamptz, machine text, folder text, dump_bytes bigint)"
        )
        assert command(monkeypatch, backup, backups, "--keep", "1") == 0
        cursor.execute("select machine, folder, dump_bytes > 0 from core_backup")
        assert cursor.fetchall() == [(machine_name(), str(next(backups.glob("poolsite-*"))), True)]
        cursor.execute("insert into book values (2); create table newer (value int)")
    [whole] = backups.glob("poolsite-*")
    assert json.loads(paths.last_backup.read_text())["folder"] == str(whole)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (whole, whole / backup.DUMP)] == [0o700, 0o600]
    private_write(paths.var / "tokens" / "admin", "second")
    private_write(paths.secret, "another")

    assert command(monkeypatch, restore, whole, answer="no\n") == 1
    assert (paths.var / "tokens" / "admin").read_text() == "second"
    assert command(monkeypatch, restore, whole, answer="yes\n") == 0

    assert (paths.var / "tokens" / "admin").read_text() == "first"
    assert paths.secret_key() == key
    assert "kept as poolsite_before_restore" in capsys.readouterr().out
    with running(paths) as cursor:
        assert values(cursor) == [1]
        cursor.execute("insert into book values (3)")
        assert command(monkeypatch, backup, backups, "--keep", "1") == 0, "the older one goes"
        cursor.execute("create database poolsite_before_last_restore")  # left by a restore that was killed
    [whole] = backups.glob("poolsite-*")
    assert command(monkeypatch, restore, whole, answer="yes\n") == 0
    with running(paths) as cursor:
        assert values(cursor) == [1, 3]
        cursor.execute("select datname from pg_database where datname like 'poolsite%' order by datname")
        assert cursor.fetchall() == [("poolsite",), ("poolsite_before_restore",)]


def test_backup_is_loaded_on_a_machine_where_no_pool_ran(
    paths: PoolPaths, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(paths) as cursor:
        key = paths.secret_key()
        cursor.execute("create table book (value int); insert into book values (1)")
        whole = backup.backup_take(paths, home / "backups")

    for elsewhere in pool_folder(home / "elsewhere", monkeypatch):
        assert command(monkeypatch, restore, whole, answer="yes\n") == 0
        assert elsewhere.secret_key() == key
        with running(elsewhere) as cursor:
            assert values(cursor) == [1]


def test_damaged_backup_and_running_pool_are_refused(
    paths: PoolPaths, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backups = home / "backups"
    with running(paths) as cursor:
        cursor.execute("create table book (value int); insert into book values (1)")
        whole = backup.backup_take(paths, backups)
        assert command(monkeypatch, restore, whole, answer="yes\n") == 1
        assert "a pool is already running" in capsys.readouterr().err
        dump = (whole / backup.DUMP).read_bytes()
        (whole / backup.DUMP).write_bytes(dump[:-1] + bytes([dump[-1] ^ 1]))
        assert command(monkeypatch, restore, whole, answer="yes\n") == 1
        assert "is damaged: its SHA-256" in capsys.readouterr().err
        assert command(monkeypatch, restore, home, answer="yes\n") == 1
        assert "is not a backup" in capsys.readouterr().err
        assert values(cursor) == [1]
    assert command(monkeypatch, backup, backups) == 1
    assert "No backup was taken: no pool is running" in capsys.readouterr().err


def test_backup_that_fails_leaves_the_last_one_and_no_half(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql:///none?host={home}&user=poolsite")
    for paths in pool_folder(home / "var", monkeypatch):
        private_write(paths.last_backup, "{}")

        assert command(monkeypatch, backup, home / "backups", "--keep", "1") == 1

        assert "No backup was taken: pg_dump: " in capsys.readouterr().err
        assert [path.name for path in (home / "backups").iterdir() if path.is_dir()] == []
        assert paths.last_backup.read_text() == "{}"


def test_only_the_pools_own_backups_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for paths in pool_folder(home / "var", monkeypatch):
        for name, var in {"a": paths.var, "b": paths.var, "c": "/other"}.items():
            entry = {"host": socket.gethostname(), "var": str(var)}
            private_write(home / f"poolsite-{name}" / backup.MANIFEST, json.dumps(entry))
        for name, text in {"0": "half", "1": "{}", "2": "[]"}.items():
            private_write(home / f"poolsite-{name}" / backup.MANIFEST, text)

        backup.backups_prune(paths, home / "poolsite-b", keep=1)

        assert sorted(path.name for path in home.glob("poolsite-*")) == [
            *("poolsite-0", "poolsite-1", "poolsite-2", "poolsite-b", "poolsite-c")
        ]


def test_backup_just_taken_stays_where_the_clock_was_ahead(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for paths in pool_folder(home / "var", monkeypatch):
        for name in ("2026", "2027", "2030"):
            entry = {"host": socket.gethostname(), "var": str(paths.var)}
            private_write(home / f"poolsite-{name}" / backup.MANIFEST, json.dumps(entry))

        backup.backups_prune(paths, home / "poolsite-2026", keep=2)

        assert sorted(path.name for path in home.glob("poolsite-*")) == ["poolsite-2026", "poolsite-2030"]


def test_keys_of_the_signer_are_in_no_backup(home: Path) -> None:
    for name in ("keys/django_secret", "tokens/admin", "operator.json", "signer/keystore.json", "store/x"):
        private_write(home / name, "x")

    assert [str(name) for name in secret_files(home)] == [
        *("keys/django_secret", "tokens/admin", "operator.json")
    ]


def test_manifest_with_unknown_members_is_refused_by_name(home: Path) -> None:
    private_write(home / backup.MANIFEST, '{"later": 1}')

    with pytest.raises(BackupRefused, match="'later'"):
        Backup.of_folder(home)


def test_password_of_the_database_is_in_no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(words: list[Any], *, env: dict[str, str], **_: Any) -> SimpleNamespace:
        file = Path(env["PGSERVICEFILE"])
        seen.append((words, file.read_text(), stat.S_IMODE(file.stat().st_mode)))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    row = database_from_url("postgresql://pool:s3cret@db:6432/pool?sslmode=require")
    database.program_run("pg_dump", "pool", login=database.login_of(row))

    [(words, service, mode)] = seen
    assert "s3cret" not in " ".join(map(str, words))
    assert {"host=db", "port=6432", "user=pool", "password=s3cret", "sslmode=require"} <= set(
        service.split("\n")
    )
    assert mode == 0o600
