"""Commands to hosts: queued here, given out with heartbeats, and ordered again after a start."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import connection, transaction

from apps.core import clock
from apps.core.live import Change, publish
from apps.sectors.errors.hosts import UpgradeUnknown
from apps.sectors.models import Worker, WorkerCommand
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.hosts.drives import drives_orders_withdraw
from apps.sectors.services.hosts.leftovers import sealing_orders_withdraw
from apps.sectors.services.hosts.retirement import retirement_cancel
from apps.sectors.services.hosts.settings import SLOTS, values_read, worker_settings_set
from apps.sectors.services.stores.leftover_removals import removals_withdraw
from apps.users.rules.principals import Principal
from poolsite.wire.commands import WITHOUT_UPGRADE, Command, Operation


def upgrades_end(worker: Worker, *, now: datetime) -> None:
    """Withdraw the order to upgrade: the worker has restarted, or is to go on with its version."""
    worker.commands.filter(op=Operation.UPGRADE, done_at=None).update(done_at=now)


def orders_repeat(worker: Worker) -> None:
    """Order again what a start has forgotten: that the host is paused or drained, unless it is to go on."""
    ops = (Operation.PAUSE, Operation.DRAIN, Operation.RESUME)
    requested = set(worker.commands.filter(op__in=ops, done_at=None).values_list("op", flat=True))
    if Operation.RESUME in requested:
        return
    is_draining = worker.is_draining or worker.retire_asked_at is not None
    for op, is_so in ((Operation.PAUSE, worker.is_paused), (Operation.DRAIN, is_draining)):
        if is_so and op not in requested:
            WorkerCommand.objects.create(worker=worker, op=op, actor="console")


def commands_open(worker: Worker, *, now: datetime) -> tuple[Command, ...]:
    """Return what the worker has not done yet and is still to do; the transaction withdraws what is not."""
    assert connection.in_atomic_block, "an order is withdrawn together with what it was for"
    rows = list(worker.commands.filter(done_at=None).order_by("pk"))
    withdrawn = removals_withdraw(rows, now=now) | sealing_orders_withdraw(worker, orders=rows, now=now)
    withdrawn |= drives_orders_withdraw(rows, now=now)
    remaining = (row for row in rows if row.pk not in withdrawn)
    return tuple(Command(id=str(row.uuid), op=row.op, args=row.args) for row in remaining)


ORDERED: Final[dict[str, dict[str, bool]]] = {
    Operation.PAUSE: {"paused": True},
    Operation.RESUME: {"paused": False, "draining": False},
    Operation.DRAIN: {"draining": True},
}
"""What a host is to be after a command."""


@transaction.atomic
def worker_command_enqueue(
    worker: Worker, *, op: Operation, args: dict[str, str], actor: str, by: Principal | None = None
) -> WorkerCommand:
    """Queue a command for a host; it hears of it with its next heartbeat.

    Raises BadSettings, UpgradeUnknown.
    """
    if op is Operation.SET_PLAN:
        values = values_read({f"{SLOTS}{stage}": count for stage, count in args.items()})
        return worker_settings_set(worker, values=values, actor=actor, by=by)
    if op is Operation.RESUME:
        retirement_cancel(worker)
        upgrades_end(worker, now=clock.now())
    if op is Operation.UPGRADE and worker.version in WITHOUT_UPGRADE:
        raise UpgradeUnknown(worker.name, worker.version)
    command = WorkerCommand.objects.create(worker=worker, op=op, args=args, actor=actor)
    ordered = ORDERED.get(op, {})
    before = {"paused": worker.is_paused, "draining": worker.is_draining} if ordered else None
    worker_audit(
        by, action=f"worker.{op}", worker=worker, before=before, after={"command": str(op), **ordered, **args}
    )
    publish(Change("worker", worker.pk, worker.tenant_id))
    return command
