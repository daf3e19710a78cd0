"""What servers and machine must have: each line's check, and the same lines in the documentation."""

from __future__ import annotations

import fcntl
import itertools
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import psycopg2
import pytest

from apps.core.leader import database_params
from poolsite import open_files
from poolsite.embedded import requirements
from poolsite.embedded.errors import RequirementMissing
from poolsite.embedded.requirements import MACHINE, POSTGRES, REDIS

GOOD = {
    "major": 15,
    "version": "15.1",
    "encoding": "UTF8",
    "isolation": "read committed",
    "fsync": "on",
    "synchronous_commit": "remote_apply",
    "may_identify": True,
    "is_session": True,
}
GOOD_INFO = {"redis_version": "6.2.0", "role": "master", "cluster_enabled": 0, "maxmemory": 0}


def unmet(lines: tuple[requirements.Requirement, ...], facts: dict[str, Any]) -> list[str]:
    return [f"{one.needs}: {reason}" for one in lines if (reason := one.unmet(facts))]


@pytest.mark.parametrize(
    ("fact", "value", "said"),
    [
        ("major", 14, "PostgreSQL 15 or newer: it is 15.1"),
        ("encoding", "SQL_ASCII", "encoding UTF8: the database has SQL_ASCII"),
        ("isolation", "serializable", "read committed: it is serializable"),
        ("fsync", "off", "`fsync` not off: it is off"),
        ("synchronous_commit", "off", "`synchronous_commit` not off: it is off"),
        ("may_identify", False, "`pg_control_system()`: the user lacks it"),
        ("is_session", False, "PgBouncer"),
    ],
)
def test_each_lack_of_a_database_is_named(fact: str, value: Any, said: str) -> None:
    assert unmet(POSTGRES, GOOD) == []
    [found] = unmet(POSTGRES, GOOD | {fact: value})
    assert said in found


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({"redis_version": "6.0.16"}, "Redis 6.2 or newer: it is 6.0.16"),
        ({"redis_version": "5.0.0", "valkey_version": "8.0.1"}, ""),
        ({"role": "slave"}, "takes writes: its role is slave"),
        ({"cluster_enabled": 1}, "cluster mode is on"),
        ({"maxmemory": 1 << 30, "maxmemory_policy": "allkeys-lru"}, "maxmemory-policy is allkeys-lru"),
        ({"maxmemory": 1 << 30, "maxmemory_policy": "volatile-lru"}, ""),
        ({"maxmemory_policy": "allkeys-lru"}, ""),
    ],
)
def test_each_lack_of_a_redis_is_named(info: dict[str, Any], said: str) -> None:
    found = unmet(REDIS, GOOD_INFO | info)
    assert bool(found) == bool(said)
    assert said in "".join(found)


@pytest.mark.django_db
def test_an_old_server_is_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own server, with the version of another one, whatever it was told not to keep."""
    login = database_params()
    facts = requirements.FACTS.replace("current_setting('server_version_num')", "'140011'")
    monkeypatch.setattr(requirements, "FACTS", facts.replace("('server_version')", "('server_version_num')"))

    with pytest.raises(RequirementMissing) as refusal:
        requirements.database_require(login)

    assert re.fullmatch(
        r"the database lacks what the pool needs \(PostgreSQL 15 or newer\): it is \d+; "
        r"see docs/requirements\.md",
        str(refusal.value),
    )


@pytest.mark.django_db
def test_this_server_gives_each_connection_a_session() -> None:
    one, other = (psycopg2.connect(**database_params()) for _ in range(2))
    one.autocommit = True
    try:
        assert requirements.is_session(one, other)
    finally:
        one.close()
        other.close()


class Pooler:
    """As PgBouncer in transaction mode: whoever is in no transaction has no session."""

    def __init__(self, sessions: int, *, in_turn: bool) -> None:
        self.free, self.in_turn = list(range(1, sessions + 1)), in_turn

    def connect(self, pid: int) -> Any:
        return Link(self, pid)


class Link:
    def __init__(self, pooler: Pooler, pid: int) -> None:
        self.pooler, self.info = pooler, SimpleNamespace(backend_pid=pid)
        self.autocommit, self.held = False, 0

    def cursor(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, _query: str) -> None:
        if not self.held:
            assert self.pooler.free, "waits for ever"
            self.held = self.pooler.free.pop(0 if self.pooler.in_turn else -1)
        self.answer = self.held
        if self.autocommit:
            self.rollback()

    def fetchone(self) -> tuple[int]:
        return (self.answer,)

    def rollback(self) -> None:
        self.pooler.free.append(self.held)
        self.held = 0


@pytest.mark.parametrize(("sessions", "in_turn"), list(itertools.product((1, 2, 3, 20), (False, True))))
def test_a_pooler_that_lends_sessions_is_known(sessions: int, in_turn: bool) -> None:
    pooler = Pooler(sessions, in_turn=in_turn)
    one, other = pooler.connect(9001), pooler.connect(9002)
    one.autocommit = True

    assert not requirements.is_session(one, other)


def test_a_pooler_that_cuts_off_transactions_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As PgBouncer in statement mode."""
    pooler = Pooler(1, in_turn=False)
    one, other = pooler.connect(9001), pooler.connect(9002)
    one.autocommit = True
    monkeypatch.setattr(other, "execute", lambda _query: (_ for _ in ()).throw(psycopg2.OperationalError))

    assert not requirements.is_session(one, other)
    monkeypatch.setattr(one, "execute", other.execute)
    with pytest.raises(psycopg2.OperationalError):
        requirements.is_session(one, other)


@pytest.fixture
def files() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_this_machine_has_what_is_needed(tmp_path: Path, files: tuple[int, int]) -> None:
    requirements.machine_require(tmp_path / "var" / "not made yet")
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, files[1]))

    open_files.files_limit_raise()

    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(files[1], open_files.FILES_WANTED)


def test_each_lack_of_a_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    monkeypatch.setattr("os.path.exists", lambda _path: False)
    monkeypatch.setattr("poolsite.embedded.requirements.LIBC", SimpleNamespace(prctl=lambda *_: -1))
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (256, 512))

    found = [one.unmet(tmp_path) for one in MACHINE]

    assert found[0] == f"locks in {tmp_path} fail: No locks available"
    assert "children does not exist" in found[1]
    assert found[2:] == ["prctl does not know it", "the limit (ulimit -Hn) is 512"]


def test_a_lock_that_somebody_holds_is_no_lack(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w"), Path(tmp_path / "x").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert MACHINE[0].unmet(tmp_path / "x") == ""


def test_the_documentation_has_the_same_lines() -> None:
    text = (Path(__file__).parents[3] / "docs" / "requirements.md").read_text()
    rows = re.findall(r"^\| (?!needs)([^|]+) \| [^|]+ \|$", text, re.MULTILINE)

    assert rows == [one.needs for one in (*POSTGRES, *REDIS, *MACHINE)]
