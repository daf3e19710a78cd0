"""What a host was ordered outlives its starts: paused, drained, to be retired; an upgrade ends with one."""

from __future__ import annotations

from typing import Any

import pytest

from apps.sectors.errors.hosts import UpgradeUnknown
from apps.sectors.models import Worker
from apps.sectors.services.hosts.commands import commands_open, worker_command_enqueue
from apps.sectors.services.hosts.retirement import worker_retire_drained
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import VERSION
from tests.unit.apps.sectors.sealing import NOON, host

pytestmark = pytest.mark.django_db


def ops(worker: Worker) -> list[str]:
    """What the host is told with the next answer."""
    told = commands_open(worker, now=NOON)
    return sorted(command.op for command in told if command.op != Operation.SET_PLAN)


def order(worker: Worker, op: Operation) -> None:
    worker_command_enqueue(worker, op=op, args={}, actor="ann")


def heard(worker: Worker, **said: Any) -> None:
    """The host has done what it was told, and says how it is."""
    worker.commands.update(done_at=NOON)
    Worker.objects.filter(pk=worker.pk).update(**said)


def test_a_new_start_is_paused_and_drained_as_the_last_one() -> None:
    heard(host("u1"), is_paused=True, is_draining=True)

    assert ops(host("u1")) == [], "the same start has not forgotten"
    assert ops(host("u1", "b2")) == ["drain", "pause"]
    assert ops(host("u1", "b3")) == ["drain", "pause"], "it is not told twice"
    worker = host("u1", "b3")
    heard(worker, is_paused=False, is_draining=False)
    assert ops(host("u1", "b4")) == []


def test_a_host_that_is_to_be_retired_is_drained_by_its_next_start() -> None:
    worker = host("u1")
    worker_retire_drained(worker, actor="ann", now=NOON)
    heard(worker)

    assert ops(host("u1", "b2")) == ["drain"]


def test_a_host_that_is_to_go_on_is_not_paused_again() -> None:
    worker = host("u1")
    heard(worker, is_paused=True)
    order(worker, Operation.RESUME)

    assert ops(host("u1", "b2")) == ["resume"]


def test_a_start_and_resume_end_an_upgrade() -> None:
    worker = host("u1")
    order(worker, Operation.UPGRADE)
    assert ops(worker) == ["upgrade"]

    worker = host("u1", "b2")
    assert ops(worker) == []
    order(worker, Operation.UPGRADE)
    order(worker, Operation.RESUME)
    assert ops(worker) == ["resume"]


def test_a_version_that_does_not_know_upgrade_is_not_told() -> None:
    worker = host("u1", version="poolsite/0.1.0")

    with pytest.raises(UpgradeUnknown, match=r"u1 runs poolsite/0.1.0, which does not support this command"):
        order(worker, Operation.UPGRADE)
    assert ops(worker) == []
    order(host("u1", "b2", version=VERSION), Operation.UPGRADE)


def test_what_a_newer_console_ordered_ends_no_heartbeat_of_an_older_one() -> None:
    worker = host("u1")
    worker.commands.create(op="sing", actor="ann")

    assert ops(worker) == ["sing"]
