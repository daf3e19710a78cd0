"""Two people who set something of one host at the same moment: the host is told both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from apps.sectors.models import Worker, WorkerCommand
from apps.sectors.services.hosts.settings import (
    shared_settings_set,
    worker_group_set,
    worker_settings_resolve,
    worker_settings_set,
)
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
