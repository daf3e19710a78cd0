"""`poolsite` as a person runs it, against a web process."""

from __future__ import annotations

import json
import os
import pty
import runpy
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from apps.core.clock import now
from apps.sectors.models import Store
from apps.users.models import AuditEntry, Tenant
from tests import factories, people
from tests.hub import WebProcess
from tests.servers import SITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., tuple[int, str]]


@pytest.fixture
def web(transactional_db: None, pool_redis: str) -> Iterator[WebProcess]:
    process = WebProcess()
    process.start()
    yield process
    process.stop()


def script(folder: Path) -> Path:
    """Write the command's script into an environment whose Python is this one."""
    maker = runpy.run_path(str(SITE / ".ci" / "environment.py"))
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    maker["command_write"](folder)
    return folder / "bin" / "poolsite"


@pytest.fixture
def run(web: WebProcess, tmp_path: Path) -> Run:
    """Return what runs a line as the operator, who is signed in, from a folder with files of its own."""
    (tmp_path / "token").write_text(people.operator_token())
    (tmp_path / "click.py").write_text("raise SystemExit(9)")
    command = script(tmp_path / "env")
    environment = {
        **os.environ,
        "POOLSITE_LOGIN": str(tmp_path / "of" / "login.json"),
        "POOLSITE_VAR": str(tmp_path),
    }

    def one(*words: str, typed: str = "") -> tuple[int, str]:
        ours, theirs = pty.openpty()
        os.write(ours, typed.encode())
        done = subprocess.run(
            [command, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            stdin=theirs if typed else subprocess.DEVNULL,
        )
        for end in (ours, theirs):
            os.close(end)
        return done.returncode, (done.stdout + done.stderr).strip()

    assert one("login", f"http://127.0.0.1:{web.port}", "--token-file", "token")[0] == 0
    return one


def test_a_person_at_a_terminal_sees_what_is_lost_and_is_asked(run: Run) -> None:
    long_ago = now() - timedelta(days=2)
    store = factories.store(factories.worker("gone", seen_at=long_ago), "disk", told_at=long_ago)
    line = ("stores", "forget", str(store.uuid), "--confirm", "disk")

    assert run(*line)[0] == 2
    assert run(*line, typed="n\n")[0] == 1
    assert Store.objects.filter(pk=store.pk).exists()
    code, told = run(*line, typed="y\n")

    assert (code, told.count("pledge")) == (0, 2), told
    assert not Store.objects.filter(pk=store.pk).exists()


def test_a_person_works_from_another_folder(run: Run) -> None:
    """List, create, look at what would be done, be refused, and be named by the audit log."""
    factories.sector(factories.miner(2001), number=7)

    assert run("tenants", "create", "--name", "carol")[0] == 0
    assert Tenant.objects.filter(name="carol").exists()
    assert run("tenants", "create", "--name", "carol") == (
        1,
        "poolsite: name: the tenant 'carol' already exists",
    )
    code, rows = run("--json", "sectors", "list", "--miner", "f02001")
    assert (code, [row["number"] for row in json.loads(rows)["results"]]) == (0, [7])
    assert "f02001" in run("sectors", "show", "f02001-7")[1]
    assert run("sectors", "show", "f02001-8")[0] == 1
    assert AuditEntry.objects.get(action="tenant.create").actor == "token pool/pool-admin"
