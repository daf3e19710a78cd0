"""`python -m poolsite` as a person runs it, against a web process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from apps.users.models import AuditEntry, Tenant
from tests import factories, people
from tests.hub import WebProcess
from tests.servers import SITE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def web(transactional_db: None, pool_redis: str) -> Iterator[WebProcess]:
    process = WebProcess()
    process.start()
    yield process
    process.stop()


def test_a_person_works_from_another_folder(web: WebProcess, tmp_path: Path) -> None:
    """Sign in, list, create, look at what would be done, be refused, and be named by the audit log."""
    token = people.operator_token()
    (tmp_path / "token").write_text(token)
    factories.sector(factories.miner(2001), number=7)
    environment = {
        **os.environ,
        "PYTHONPATH": str(SITE),
        "POOLSITE_LOGIN": str(tmp_path / "of" / "login.json"),
        "POOLSITE_VAR": str(tmp_path),
    }

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "poolsite", *words]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        return done.returncode, (done.stdout + done.stderr).strip()

    address = f"http://127.0.0.1:{web.port}"
    assert run("login", address, "--token-file", "token")[0] == 0
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
