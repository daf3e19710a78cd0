"""The sealer's children: started again when they end, gone when it goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from workers.agent.children import ChildCommand, Children, broker_command
from workers.agent.sealer import socket_path

SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def until(condition: Callable[[], Any], *, children: Children | None = None, within_s: float = 60.0) -> None:
    """Look after the children until a condition holds."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "not in time"
        if children is not None:
            children.tick()
        time.sleep(0.02)  # between two looks, not to synchronise


def lives(pid: int) -> bool:
    """Whether a process runs and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_killed_child_is_started_again_and_stop_ends_it(tmp_path: Path) -> None:
    children = Children([ChildCommand(name="sleeper", argv=SLEEPER)], log_folder=tmp_path)
    children.tick()
    first = children.slots[0].pid
    assert first is not None

    os.kill(first, signal.SIGKILL)
    until(lambda: children.slots[0].pid not in (None, first), children=children)
    second = children.slots[0].pid
    children.stop()

    assert second is not None
    assert not lives(second)


def test_a_child_that_cannot_live_is_not_started_in_a_loop(tmp_path: Path) -> None:
    command = ChildCommand(name="broken", argv=(sys.executable, "-c", "raise SystemExit(3)"))
    children = Children([command], log_folder=tmp_path)
    slot = children.slots[0]
    starts = 0
    pid = None
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        children.tick()
        starts += slot.pid not in (None, pid)
        pid = slot.pid or pid
        time.sleep(0.01)  # between two looks, not to synchronise

    children.stop()
    assert 1 <= starts <= 4


def test_kill_9_of_the_parent_takes_the_children_along(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from workers.agent.children import ChildCommand, Children\n"
        f"command = ChildCommand(name='c', argv={SLEEPER!r})\n"
        f"children = Children([command], log_folder=pathlib.Path({str(tmp_path)!r}))\n"
        "children.tick()\n"
        "print(children.slots[0].pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert lives(child)

        parent.kill()

    until(lambda: not lives(child))


def test_the_broker_answers_on_its_socket_and_keeps_what_it_has(tmp_path: Path) -> None:
    socket = socket_path(tmp_path)
    children = Children([broker_command(tmp_path, socket)], log_folder=tmp_path)

    def answers() -> bool:
        try:
            with Redis(unix_socket_path=str(socket)) as client:
                return bool(client.ping())
        except (OSError, RedisError):
            return False

    try:
        until(answers, children=children)
        with Redis(unix_socket_path=str(socket)) as client:
            client.set("kept", "yes")
            assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"
        first = children.slots[0].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        until(lambda: children.slots[0].pid not in (None, first) and answers(), children=children)
        with Redis(unix_socket_path=str(socket)) as client:
            assert client.get("kept") in (b"yes", None), "appended at most a second late"
    finally:
        children.stop()


def test_a_long_folder_gets_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)

    assert len(str(socket_path(deep)).encode()) < 107
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(tmp_path / ("y" * 120))


def test_a_childs_log_is_cut_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.agent.children.LOG_MAX_BYTES", 100)
    command = ChildCommand(name="sleeper", argv=SLEEPER)
    children = Children([command], log_folder=tmp_path)
    (tmp_path / "sleeper.log").write_bytes(b"x" * 101)
    try:
        children.tick()

        assert (tmp_path / "sleeper.log").stat().st_size == 0
        assert (tmp_path / "sleeper.log.1").stat().st_size == 101
    finally:
        children.stop()
