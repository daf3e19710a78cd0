"""Stores as a heartbeat tells of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from apps.sectors.models import Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.stores import AttachedStore, StoreCondition
from tests.unit.apps.sectors.sealing import NOON

TIB = 1 << 40


def told(name: str = "disk", **facts: Any) -> AttachedStore:
    """A store as a host tells of it."""
    data = {"uid": f"uid-{name}", "name": name, "path": f"/mnt/{name}", "condition": StoreCondition.READY}
    return AttachedStore(**(data | {"total_bytes": TIB, "free_bytes": TIB // 2} | facts))


def beat(
    worker: Worker,
    *stores: AttachedStore,
    at: datetime = NOON,
    done: tuple[str, ...] = (),
    errors: dict[str, str] | None = None,
) -> Worker:
    """The host tells of its stores."""
    heartbeat = Heartbeat(
        boot_id=worker.boot_id, attached=stores, done_commands=done, command_errors=errors or {}
    )
    worker_heartbeat(worker, heartbeat=heartbeat, now=at)
    worker.refresh_from_db()
    return worker
