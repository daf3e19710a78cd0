"""`make up` where it must not start, on real runs over the folder of a real pool: one sentence, no change."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.integration.disks import mounted
from tests.integration.pools import SITE, Pool, wait_until

pytestmark = [pytest.mark.xdist_group("pool"), pytest.mark.slow]

LEFT_OUT: Final = "follower,blocks,tasks,tasks-slow,signer,bootstrap-miner,sealer,prover"

OF_ROOT: Final = "/proc/1"
"""A folder of root's on every Linux."""


def state_of(folder: Path) -> dict[str, tuple[int, ...] | str]:
    """Owner, mode, time and content of everything below a folder."""
    state: dict[str, tuple[int, ...] | str] = {}
    for path in sorted([folder, *folder.rglob("*")]):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        state[str(path)] = f"{facts.st_uid} {facts.st_mode} {facts.st_mtime_ns} {content}"
    return state


@pytest.fixture(scope="module")
def kept() -> Iterator[Pool]:
    """A pool with a database and a chain that has run and was stopped."""
    with Pool(POOLSITE_DISABLE=LEFT_OUT) as pool:
        wait_until(pool.all_up, within_s=60, what=pool.words)
        pool.stop()
        yield pool


@pytest.fixture
def pool(kept: Pool, tmp_path: Path) -> Iterator[Pool]:
    """A copy of its folder, to be spoilt."""
    copy = Pool(POOLSITE_DISABLE=LEFT_OUT)
    shutil.copytree(kept.var, copy.var, symlinks=True)
    for path in [kept.var, *kept.var.rglob("*")]:
        facts = path.lstat()
        os.chown(copy.var / path.relative_to(kept.var), facts.st_uid, facts.st_gid, follow_symlinks=False)
    yield copy
    shutil.rmtree(copy.base, ignore_errors=True)


def refusal(pool: Pool) -> str:
    """The sentence, with everything in the folder as it was."""
    before = state_of(pool.var)
    said = pool.refused()
    assert state_of(pool.var) == before
    assert said.startswith("Poolsite cannot start: ")
    assert said.count("\n") == 1
    print(said, end="")  # noqa: T201  # a person may want to see them all
    return said


def test_a_port_that_is_taken(pool: Pool) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", pool.port))
        other.listen()
        assert f"port {pool.port} on 127.0.0.1 is in use by another program" in refusal(pool)


def test_the_chains_port_that_is_taken(pool: Pool) -> None:
    host, _, port = pool.env["DEVNET_LISTEN"].rpartition(":")
    with socket.socket() as other:
        other.bind((host, int(port)))
        other.listen()
        assert f"port {port} on {host} is in use by another program" in refusal(pool)


def test_an_operator_file_that_was_cut(pool: Pool) -> None:
    path = pool.var / "operator.json"
    path.write_text(path.read_text()[:40])

    assert "operator.json is damaged: restore it" in refusal(pool)


def test_garbage_in_the_devnets_file(pool: Pool) -> None:
    (pool.var / "devnet" / "chain.sqlite").write_bytes(b"garbage" * 999)

    assert "is not a devnet file" in refusal(pool)


def test_the_data_of_another_postgresql(pool: Pool) -> None:
    (pool.var / "pg" / "PG_VERSION").write_text("14\n")

    assert "was created by PostgreSQL 14, but this pool uses" in refusal(pool)


def test_the_folder_of_another_user(pool: Pool) -> None:
    if os.geteuid() == 0:
        os.chown(pool.var, pwd.getpwnam("nobody").pw_uid, -1)
        said = refusal(pool)
    else:
        pool.env["POOLSITE_VAR"] = OF_ROOT
        said = pool.refused()

    assert "belongs to another user: choose another POOLSITE_VAR" in said


def test_a_full_disk(pool: Pool) -> None:
    with mounted(pool.base / "disk", megabytes=400) as disk:
        shutil.move(pool.var, disk / "var")
        pool.env["POOLSITE_VAR"] = str(disk / "var")
        pool.var = disk / "var"
        with (disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(1 << 20))
                filler.flush()
        assert "MiB free, the pool needs" in refusal(pool)


def test_another_python_is_named_before_anything_is_made(tmp_path: Path) -> None:
    for name in ("Makefile", ".ci"):
        source = SITE / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name)
        else:
            shutil.copy(source, tmp_path / name)
    before = state_of(tmp_path)

    done = subprocess.run(
        ["make", "up"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": "/bin/false"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode != 0
    assert "Poolsite needs CPython 3.11 or 3.12 with venv" in done.stderr
    assert state_of(tmp_path) == before


def test_the_folder_as_it_was_still_starts(pool: Pool) -> None:
    took_s = pool.start(within_s=30)
    pool.stop()
    wait_until(pool.is_gone, within_s=20, what="everything gone")

    print(f"a page after {took_s:.1f} s")  # noqa: T201  # a figure to look at
