"""Which start of a worker may speak: its newest, and none of a retired worker."""

from __future__ import annotations

from apps.sectors.errors.hosts import WorkerReplaced, WorkerRetired
from apps.sectors.models import Worker
from apps.sectors.selectors.restored import must_register


def boot_check(worker: Worker, *, boot_id: str) -> None:
    """Refuse what an earlier start says, and one that has not reported its disk since a restore.

    Raises WorkerReplaced, WorkerRetired.
    """
    boot_require(worker, boot_id=boot_id)
    if must_register(worker):
        raise WorkerReplaced


def boot_require(worker: Worker, *, boot_id: str) -> None:
    """Refuse what an earlier start says, or a retired worker.  Raises WorkerReplaced, WorkerRetired."""
    if worker.retired_at is not None:
        raise WorkerRetired(worker.name)
    if worker.boot_id != boot_id:
        raise WorkerReplaced
