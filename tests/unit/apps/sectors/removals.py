"""What a host is told to remove with its heartbeat."""

from __future__ import annotations

from apps.sectors.models import Worker
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from tests.unit.apps.sectors.sealing import NOON


def beat(host: Worker, *done: str) -> list[dict[str, str]]:
    """What the host is told with its next heartbeat."""
    answer = worker_heartbeat(host, heartbeat=Heartbeat(boot_id=host.boot_id, done_commands=done), now=NOON)
    return [{"id": one.id, **one.args} for one in answer.commands if one.op == Operation.REMOVE]
