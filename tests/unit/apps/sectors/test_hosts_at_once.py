"""Two who act on one host at the same moment: it is told both settings, and keeps its last order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.core.clock import now
from apps.sectors.models import Store, StoreCheck, Worker, WorkerCommand
from apps.sectors.services.hosts.commands import worker_command_enqueue
from apps.sectors.services.hosts.heartbeats import worker_heartbeat
from apps.sectors.services.hosts.retirement import worker_retire, worker_retire_drained
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
from apps.sectors.services.stores.checks import check_begin
from poolsite.wire.commands import Operation
from poolsite.wire.hosts import Heartbeat
from poolsite.wire.jobs import JobKind
from tests import factories
from tests.people import principal
from tests.unit.apps.sectors.sealing import NOON, host
from tests.unit.apps.sectors.stores import told as attached

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
        "apps.sectors.services.hosts.heartbeats.boot_require",
        lambda: worker_command_enqueue(Worker.objects.get(), op=Operation.RESUME, args={}, actor="olga"),
        watched_s=20,
    )

    assert not answer.is_retired
    assert Worker.objects.get().retired_at is None


@pytest.mark.parametrize("stops", ["checks_continue", "stores_note"])
def test_host_retired_while_it_is_heard_of_ends_in_no_deadlock(
    beside: Callable[..., list[Any]], stops: str
) -> None:
    worker = host(kinds=(JobKind.SEAL, JobKind.WINDOW_POST))
    heartbeat = Heartbeat(boot_id=worker.boot_id, attached=(attached("a"),))
    worker_heartbeat(worker, heartbeat=heartbeat, now=NOON)
    factories.sector(factories.miner(1000), state="PROVING", store="a", comm_r=bytes(32))
    check_begin(Store.objects.get(), now=NOON, by=principal())

    *_, has_waited = beside(
        lambda: worker_heartbeat(worker, heartbeat=heartbeat, now=NOON),
        f"apps.sectors.services.hosts.heartbeats.{stops}",
        lambda: worker_retire(worker, now=NOON),
    )

    assert has_waited
    assert StoreCheck.objects.get().state == "FAILED"
    worker.refresh_from_db()
    assert worker.retired_at == NOON


def test_check_begun_while_its_store_is_heard_of_ends_in_no_deadlock(
    beside: Callable[..., list[Any]],
) -> None:
    worker = host(kinds=(JobKind.SEAL, JobKind.WINDOW_POST))
    beat = Heartbeat(boot_id=worker.boot_id, attached=(attached("a"),))
    worker_heartbeat(worker, heartbeat=beat, now=NOON)
    factories.sector(factories.miner(1000), state="PROVING", store="a", comm_r=bytes(32))
    store = Store.objects.get()
    check_begin(store, now=NOON, by=principal())
    [order] = worker_heartbeat(worker, heartbeat=beat, now=NOON).commands
    fuller = Heartbeat(
        boot_id=worker.boot_id, attached=(attached("a", sectors=7),), done_commands=(order.id,)
    )

    _, check, has_waited = beside(
        lambda: worker_heartbeat(worker, heartbeat=fuller, now=NOON),
        "apps.sectors.services.hosts.heartbeats.checks_note",
        lambda: check_begin(store, now=NOON, by=principal()),
    )

    assert has_waited
    assert StoreCheck.objects.get().pk == check.pk
