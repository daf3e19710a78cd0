"""What a child of the supervisor inherits."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poolsite.embedded import postgres
from poolsite.embedded.children import Child, Slot
from poolsite.embedded.postgres import Cluster, cluster_create

SECRETS = {"SECRET_KEY": "s", "CHAIN_URLS": "token:http://node:1234/rpc/v1", "EMAIL_URL": "smtp://u:p@h"}
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "LC_ALL": "C.UTF-8", "TZ": "UTC"}.items():
        monkeypatch.setenv(name, value)


def server_inherits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: Any) -> set[str]:
    """Start a child and return the names of its variables."""
    started: list[Any] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, **how: started.append(how))
    slot = Slot(Child(name="one", argv=["one"], account=account, env={"OWN": "1"}))
    slot.start(log_folder=tmp_path, lease=0)
    slot.ready_pipe_close()
    return set(started[0]["env"])


def initdb_inherits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: Any) -> set[str]:
    """Create a cluster and return the names of initdb's variables."""
    started: list[Any] = []

    def run(words: list[Any], **how: Any) -> SimpleNamespace:
        started.append(how)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(postgres, "folder_create", lambda folder, _account: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(os, "sync", lambda: None)
    cluster_create(Cluster(tmp_path / "pg", tmp_path, Path("/programs"), account, None), lease=0)
    return set(started[0]["env"])


@pytest.mark.parametrize("inherits", [server_inherits, initdb_inherits])
def test_under_another_account_it_has_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inherits: Callable[..., set[str]]
) -> None:
    names = inherits(monkeypatch, tmp_path, (NOBODY.pw_uid, NOBODY.pw_gid))

    assert {"PATH", "LC_ALL", "TZ"} <= names
    assert not SECRETS.keys() & names


@pytest.mark.parametrize("inherits", [server_inherits, initdb_inherits])
def test_under_our_account_it_has_all_that_we_have(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inherits: Callable[..., set[str]]
) -> None:
    assert SECRETS.keys() <= inherits(monkeypatch, tmp_path, None)
