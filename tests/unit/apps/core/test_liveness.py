"""Heartbeats of processes."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.core import liveness
from apps.core.clock import now
from apps.core.health import readiness
from apps.core.liveness import heartbeat_forget, heartbeat_send, heartbeats, notify_ready


def test_a_sign_is_fresh_for_a_few_seconds(pool_redis: str) -> None:
    heartbeat_send("follower", detail="leads")

    sign = heartbeats()["follower"]

    assert (sign.pid, sign.detail) == (os.getpid(), "leads")
    assert sign.is_fresh(now())
    assert not sign.is_fresh(now() + timedelta(seconds=11))


def test_a_process_silent_for_a_day_is_forgotten(pool_redis: str, monkeypatch: Any) -> None:
    heartbeat_send("web-9")
    monkeypatch.setattr(liveness, "now", lambda: now() + timedelta(days=2))

    assert heartbeats() == {}
    monkeypatch.undo()
    assert heartbeats() == {}


def test_without_redis_a_sign_is_lost_without_harm(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"

    heartbeat_send("follower")


def test_readiness_is_one_byte_on_the_descriptor_of_the_supervisor(monkeypatch: Any) -> None:
    ours, theirs = os.pipe()
    monkeypatch.setenv("POOLSITE_READY_FD", str(theirs))

    notify_ready()
    notify_ready()

    assert os.read(ours, 9) == b"1"
    assert os.read(ours, 9) == b""  # closed: a second word is not said
    os.close(ours)


@pytest.mark.parametrize("place", ["{folder}/notify", "{folder}/notify@1", "@poolsite{folder}"])
def test_systemd_is_told_of_each_own_heartbeat(
    settings: Any, monkeypatch: Any, tmp_path: Path, place: str
) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    address = place.format(folder=tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{address[1:]}" if address[0] == "@" else address)
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)

        heartbeat_send()
        heartbeat_send("sealer of another machine")

        assert manager.recv(100) == b"READY=1\nWATCHDOG=1"
        with pytest.raises(BlockingIOError):
            manager.recv(100)
    heartbeat_send()  # nobody listens any more: without harm


def test_processes_of_two_machines_hide_none_of_each_other(pool_redis: str, settings: Any) -> None:
    settings.PROCESS_NAME = "follower"
    for machine in ("a", "b"):
        settings.MACHINE_NAME = machine
        heartbeat_send(detail=machine)

    assert {name: beat.detail for name, beat in heartbeats().items()} == {"follower": "b", "follower@a": "a"}
    heartbeat_forget()
    assert list(heartbeats()) == ["follower@a"]


@pytest.mark.django_db
@pytest.mark.parametrize("is_first", [False, True])
def test_a_sign_of_an_older_version_hides_none_of_this_machine(
    pool_redis: str, settings: Any, monkeypatch: Any, is_first: bool
) -> None:
    settings.PROCESS_NAME, settings.READY_PROCESSES = "blocks", ["blocks"]

    def older() -> None:
        monkeypatch.setattr(liveness, "now", lambda: now() - timedelta(minutes=10))
        heartbeat_send("blocks", pid=7)
        monkeypatch.undo()

    if is_first:
        older()
    heartbeat_send()
    if not is_first:
        older()

    assert heartbeats()["blocks"].pid == os.getpid()
    assert readiness()["waiting_for"] == []
