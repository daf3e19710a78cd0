"""What keeps a pool from starting: one sentence each, every file as it was."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from poolsite.embedded import preflight as module
from poolsite.embedded.errors import BadFolder, DiskFull, StartupError
from poolsite.embedded.paths import PoolPaths
from poolsite.embedded.postgres import Cluster, release_of, stale_pid_remove
from poolsite.embedded.preflight import preflight, require_own_folder
from poolsite.embedded.programs import postgres_programs


@pytest.fixture
def paths(tmp_path: Path) -> PoolPaths:
    """A pool's folder as it is after a first start."""
    var = tmp_path / "var"
    (var / "devnet").mkdir(parents=True)
    (var / "pg").mkdir()
    operator = {"url": "http://localhost", "username": "operator", "password": "x", "admin_token": "t"}
    (var / "operator.json").write_text(json.dumps(operator))
    with closing(sqlite3.connect(var / "devnet" / "chain.sqlite")) as link:
        link.execute("create table blocks (height integer)")
    return PoolPaths(var)


def cluster_in(paths: PoolPaths) -> Cluster:
    """A cluster inside the folder, whoever can reach that."""
    return Cluster(paths.var / "pg", paths.sockets / "pg", postgres_programs(), None, None)


def contents(folder: Path) -> str:
    """Name a folder by all that is in it."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


def refusal(paths: PoolPaths) -> str:
    """Return the sentence, having checked that it is one and that nothing changed."""
    before = contents(paths.var)
    with pytest.raises(StartupError) as caught:
        preflight(paths, cluster_in(paths))
    assert contents(paths.var) == before
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_a_sound_folder_and_a_missing_one_pass(paths: PoolPaths, tmp_path: Path) -> None:
    preflight(paths, cluster_in(paths))
    preflight(PoolPaths(tmp_path / "new"), cluster_in(PoolPaths(tmp_path / "new")))

    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["", "{", '{"url": "http://localho', "[]", '{"url": "x"}', "null"])
def test_a_truncated_operator_file_is_refused(paths: PoolPaths, text: str) -> None:
    paths.operator.write_text(text)

    assert "operator.json is damaged" in refusal(paths)


def test_an_operator_file_whose_password_was_changed_is_whole(paths: PoolPaths) -> None:
    paths.operator.write_text(json.dumps({"url": "u", "username": "operator", "admin_token": "t"}))

    preflight(paths, cluster_in(paths))


def test_garbage_in_the_devnets_file_is_refused(paths: PoolPaths) -> None:
    (paths.var / "devnet" / "chain.sqlite").write_bytes(b"garbage" * 999)

    assert "is not a devnet file" in refusal(paths)


def test_a_cut_devnet_file_is_refused(paths: PoolPaths) -> None:
    file = paths.var / "devnet" / "chain.sqlite"
    file.write_bytes(file.read_bytes()[:1000])

    assert "is not a devnet file" in refusal(paths)


def test_a_devnet_file_whose_checkpoint_was_cut_passes_and_loses_nothing(paths: PoolPaths) -> None:
    """A kill after the first page was copied: it names more pages than the file has yet; the log has them."""
    file = paths.var / "devnet" / "chain.sqlite"
    log = file.with_name("chain.sqlite-wal")
    with closing(sqlite3.connect(file)) as link:
        link.execute("pragma journal_mode=wal")
        link.execute("pragma wal_autocheckpoint=0")
        link.executemany("insert into blocks values (?)", [(number,) for number in range(9999)])
        link.commit()
        pages = link.execute("pragma page_count").fetchone()[0]
        before, kept = file.read_bytes(), log.read_bytes()
    file.write_bytes(before[:28] + pages.to_bytes(4, "big") + before[32:])
    log.write_bytes(kept)

    preflight(paths, cluster_in(paths))

    with closing(sqlite3.connect(file)) as link:
        assert link.execute("select count(*) from blocks").fetchone() == (9999,)


def test_data_of_another_postgresql_is_refused(paths: PoolPaths) -> None:
    (paths.var / "pg" / "PG_VERSION").write_text("14\n")

    assert "was created by PostgreSQL 14" in refusal(paths)


def test_data_of_this_postgresql_passes(paths: PoolPaths) -> None:
    cluster = cluster_in(paths)
    cluster.data.mkdir(parents=True, exist_ok=True)
    (cluster.data / "PG_VERSION").write_text(release_of(cluster.programs).partition(".")[0])

    preflight(paths, cluster)


def test_another_users_folder_is_refused(paths: PoolPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = paths.var.stat().st_uid
    monkeypatch.setattr(module, "os", SimpleNamespace(geteuid=lambda: owner + 1))

    assert "belongs to another user" in refusal(paths)


def test_folder_below_a_closed_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> bool:  # as root nothing is closed
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "exists", closed)
    with pytest.raises(BadFolder, match=r"no permission for a folder above .*/above/var"):
        require_own_folder(tmp_path / "above" / "var")


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")

    with pytest.raises(BadFolder, match="is not a folder"):
        preflight(PoolPaths(tmp_path / "var"), None)


def test_a_full_disk_is_refused(paths: PoolPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    full = SimpleNamespace(disk_usage=lambda _path: SimpleNamespace(free=3 * 2**20))
    monkeypatch.setattr(module, "shutil", full)
    before = contents(paths.var)

    with pytest.raises(DiskFull, match="has 3 MiB free"):
        preflight(paths, None)

    assert contents(paths.var) == before


def test_a_pid_file_of_a_process_that_is_no_server_of_this_data_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    file.write_text(f"{os.getpid()}\n{tmp_path}\n")

    stale_pid_remove(tmp_path)

    assert not file.exists()


def test_a_pid_file_whose_number_nobody_has_is_left_to_postgresql(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    file.write_text("4194304999\n")

    stale_pid_remove(tmp_path)

    assert file.exists()
