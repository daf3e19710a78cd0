"""Retiring a host: it is drained first, then refused, and its own token is revoked."""

from __future__ import annotations

from typing import Any

import pytest

from apps.core.clock import now
from apps.sectors.models import Sector, Worker
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire_drained
from apps.users.models import Token
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer
from tests import factories, people

pytestmark = pytest.mark.django_db


def beat(worker: Worker, **said: Any) -> HeartbeatAnswer:
    worker.refresh_from_db()
    return worker_heartbeat(worker, heartbeat=Heartbeat(boot_id=worker.boot_id, **said), now=now())


def test_a_host_retires_once_its_sectors_are_done_and_loses_its_token():
    worker = factories.worker("old")
    sector = factories.sector(factories.miner(), held_by=worker)
    people.token("write", of="alice")
    own = Token.objects.get()
    people.token("read", of="alice")
    Token.objects.exclude(pk=own.pk).update(joins="sealer", joined_uid=worker.uid, joined_token=own)

    command = worker_retire_drained(worker, actor="ann", now=now())

    assert command.op == Operation.DRAIN
    assert not beat(worker).is_retired, "not drained yet"
    assert not beat(worker, is_draining=True).is_retired, "it still has a sector"
    Sector.objects.filter(pk=sector.pk).update(state="PROVING")
    assert beat(worker, is_draining=True).is_retired
    worker.refresh_from_db()
    own.refresh_from_db()
    assert worker.retired_at is not None
    assert own.revoked_at is not None


def test_resume_keeps_a_host_that_was_to_be_retired():
    worker = factories.worker("old")
    worker_retire_drained(worker, actor="ann", now=now())

    worker_command_enqueue(worker, op=Operation.RESUME, args={}, actor="ann")

    assert not beat(worker, is_draining=True).is_retired
