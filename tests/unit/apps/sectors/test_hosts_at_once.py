"""Two who act on one host at the same moment: it is told both settings, and keeps its last order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.core.clock import now
from apps.sectors.models import Worker, WorkerCommand
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire_drained
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from tests import factories

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)


def told(worker: Worker) -> Any:
    """What the host obeys last."""
    return WorkerCommand.objects.filter(worker=worker).latest("pk").args


def own(worker: Worker) -> Callable[[], Any]:
    return lambda: worker_settings_set(worker, values={"slots.PC1": 3}, actor="ann")


def shared(_: Worker) -> Callable[[], Any]:
    return lambda: shared_settings_set({"sectors_max": 7}, tenant=None, actor="olga")


def grouped(worker: Worker) -> Callable[[], Any]:
    return lambda: worker_group_set(worker, group="gpu", actor="ann")


def of_group(_: Worker) -> Callable[[], Any]:
    return lambda: shared_settings_set({"slots.PC2": 5}, tenant=None, group="gpu", actor="olga")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (own, shared),
        (shared, own),
        (grouped, shared),
        (shared, of_group),
        (grouped, of_group),
    ],
)
def test_settings_of_two_levels_set_at_once_both_reach_the_host(
    beside: Callable[..., list[Any]],
    first: Callable[[Worker], Callable[[], Any]],
    second: Callable[[Worker], Callable[[], Any]],
) -> None:
    worker = factories.worker(group="" if grouped in (first, second) else "gpu")

    beside(first(worker), "apps.sectors.services.hosts.settings.settings_send", second(worker))

    worker.refresh_from_db()
    assert told(worker) == worker_settings_resolve(worker)
    assert WorkerCommand.objects.filter(worker=worker, done_at=None).count() == 1


def test_host_resumed_while_it_reports_that_it_is_drained_stays(beside: Callable[..., list[Any]]) -> None:
    worker = factories.worker()
    worker_retire_drained(worker, actor="ann", now=now())
    worker.refresh_from_db()
    heartbeat = Heartbeat(boot_id=worker.boot_id, is_draining=True)

    answer, *_ = beside(
        lambda: worker_heartbeat(worker, heartbeat=heartbeat, now=now()),
        "apps.sectors.services.hosts.heartbeats.settings_note",
        lambda: worker_command_enqueue(Worker.objects.get(), op=Operation.RESUME, args={}, actor="olga"),
        watched_s=20,
    )

    assert not answer.is_retired
    assert Worker.objects.get().retired_at is None
