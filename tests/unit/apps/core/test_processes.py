"""Changes of processes reach the operator's pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.core import processes
from apps.core.clock import now
from apps.core.live import OPERATOR, POOL, Change, group_of
from apps.core.liveness import HEARTBEAT_EVERY_S, heartbeat_send
from apps.core.processes import ProcessWatch, supervised


def written(var: Path, **pids: int) -> None:
    """Write the supervisor's file."""
    rows = [{"name": name, "pid": pid, "up": True, "restarts": 0} for name, pid in pids.items()]
    (var / "processes.json").write_text(json.dumps({"at": 0, "processes": rows}))


def test_each_change_is_told_once(
    tmp_path: Path, settings: Any, pool_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.VAR = tmp_path
    told: list[Change] = []
    monkeypatch.setattr(processes, "change_send", told.append)
    watch = ProcessWatch()

    written(tmp_path, follower=1, tasks=2)
    assert watch.changes_publish() == ["follower", "tasks"]
    assert watch.changes_publish() == []
    written(tmp_path, follower=1, tasks=3)
    assert watch.changes_publish() == ["tasks"]
    heartbeat_send("signer")
    assert watch.changes_publish() == []  # heartbeats come every few seconds, and are read as often
    watch.heard_at -= HEARTBEAT_EVERY_S
    assert watch.changes_publish() == ["signer"]

    assert told[-1] == Change("process", "signer", OPERATOR)


def test_processes_of_another_machine_are_listed_too(tmp_path: Path, settings: Any, pool_redis: str) -> None:
    settings.VAR, settings.PROCESS_NAME, settings.MACHINE_NAME = tmp_path, "follower", "b"
    rows = [{"name": "tasks", "pid": 2, "up": True, "restarts": 0, "last_exit": None, "once": False}]
    (tmp_path / "processes.json").write_text(json.dumps({"at": 0, "processes": rows}))
    heartbeat_send()
    settings.MACHINE_NAME = "a"

    shown = {one.name: one.state for one in processes.processes_all(at=now())}

    assert shown == {"tasks": "running", "follower@b": "running"}


def test_without_a_supervisor_there_is_nothing_to_tell(tmp_path: Path, settings: Any) -> None:
    settings.VAR = tmp_path

    assert supervised() == {}


def test_a_change_for_the_operator_goes_to_the_operator_alone() -> None:
    assert group_of(OPERATOR) == POOL
