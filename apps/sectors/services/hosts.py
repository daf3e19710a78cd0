"""Workers on sealing hosts: they register, stay alive by heartbeats, and take commands with the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q
from msgspec import to_builtins

from apps.chain.selectors import head_current
from apps.core.live import Change, publish
from apps.core.transitions import advance
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.sectors.errors import WorkerReplaced, WorkerRetired
from apps.sectors.host_models import HostInventory, HostReport, Worker, WorkerCommand
from apps.sectors.host_selectors import is_uuid
from apps.sectors.job_selectors import lease_over_text
from apps.sectors.models import Job, Sector
from apps.sectors.policy import sealing_policy
from apps.sectors.proof_forms import takes_containers_here
from apps.sectors.restored import must_register
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.host_settings import (
    SLOTS,
    settings_note,
    settings_resend,
    values_read,
    worker_settings_set,
)
from apps.sectors.services.leases import leases_end
from apps.sectors.services.moves import moves_continue
from apps.sectors.services.removals import leftovers_remove, removals_note
from apps.sectors.services.retirement import retire_when_drained, retirement_cancel
from apps.sectors.services.roles import worker_roles_renew
from apps.sectors.services.stores import orders_note, stores_note
from apps.sectors.states import JobState
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import (
    Command,
    HeartbeatAnswer,
    Lost,
    Operation,
    Registered,
    Renewed,
)
from poolsite.wire.jobs import JobKind

HEARTBEAT_FIELDS = ("seen_at", "is_paused", "is_draining", "last_error", "hardware", "slots", "stores")
"""Columns of a worker that a heartbeat may change."""

if TYPE_CHECKING:
    from datetime import datetime

    from apps.users.principals import Principal
    from poolsite.wire.hosts import Heartbeat, HeldJob, Register


@transaction.atomic
def worker_register(
    register: Register, *, tenant_id: int, now: datetime, by: Principal | None = None
) -> tuple[Worker, Registered]:
    """Register a worker; a new boot id ends the leases of its earlier start at once.

    The jobs keep their files' host: only this uid may claim them again.  Raises WorkerRetired.
    """
    facts = {
        "name": register.name,
        "host": register.host,
        "version": register.version,
        "kinds": [str(kind) for kind in register.kinds],
        "slots": register.slots,
        "stores": list(register.stores),
        "hardware": to_builtins(register.hardware),
    }
    worker, is_new = Worker.objects.select_for_update().get_or_create(
        tenant_id=tenant_id,
        uid=register.uid,
        defaults={"boot_id": register.boot_id, "registered_at": now, "seen_at": now, **facts},
    )
    if worker.retired_at is not None:
        raise WorkerRetired(worker.name)
    if is_new or worker.boot_id != register.boot_id:
        before = None if is_new else {"boot": worker.boot_id, "version": worker.version}
        after = {"boot": register.boot_id, "version": register.version, "host": register.host}
        worker_audit(by, "worker.register", worker, before=before, after=after)
    if not is_new and worker.boot_id != register.boot_id:
        leases_end(worker, now=now, reason="the worker was started again")
        worker.restarts += 1
        worker.registered_at = now
    for name, value in facts.items():
        setattr(worker, name, value)
    settings_resend(worker, dict(register.configured))
    if JobKind.SEAL in register.kinds:
        _inventory_store(worker, register, now=now)
    leftovers_remove(worker, [sector.job for sector in register.sectors if is_uuid(sector.job)])
    worker.boot_id, worker.seen_at = register.boot_id, now
    settings_note(worker, register.settings)
    if register.attached is not None:
        worker.stores = stores_note(worker, register.attached, now=now)
    worker.save()
    publish(Change("worker", worker.pk, tenant_id))
    policy = sealing_policy()
    return worker, Registered(
        worker_id=str(worker.uuid),
        heartbeat_s=policy.heartbeat_s,
        lease_s=policy.lease_s,
        poll_ms=policy.poll_ms,
        commands=commands_open(worker),
    )


def _inventory_store(worker: Worker, register: Register, *, now: datetime) -> None:
    """Keep what the host has on its disk.  The first time after a restore its leases end: their tokens
    may be the ones that are given out next.
    """
    if must_register(worker):
        leases_end(worker, now=now, reason="the database was restored from a backup")
        publish(RECOVERY_CHANGE)
    HostInventory.objects.update_or_create(
        worker=worker,
        defaults={
            "told_at": now,
            "sectors": [document_encode(sector) for sector in register.sectors],
            "stored": [document_encode(numbers) for numbers in register.stored],
        },
    )


def commands_open(worker: Worker) -> tuple[Command, ...]:
    """Return what the worker has not done yet."""
    rows = worker.commands.filter(done_at=None).order_by("pk")
    return tuple(Command(id=str(row.uuid), op=Operation(row.op), args=row.args) for row in rows)


@transaction.atomic
def worker_heartbeat(worker: Worker, heartbeat: Heartbeat, *, now: datetime) -> HeartbeatAnswer:
    """Renew the worker's leases and note how far its stages are.

    Raises WorkerReplaced if another start of the worker has registered since, WorkerRetired.
    """
    boot_check(worker, heartbeat.boot_id)
    worker_roles_renew(worker, now=now)
    if done := [text for text in heartbeat.done_commands if is_uuid(text)]:
        removals_note(worker, done, now=now)
        orders_note(worker, done, heartbeat.command_errors, now=now)
        worker.commands.filter(uuid__in=done, done_at=None).update(done_at=now)
    worker.seen_at = now
    worker.is_paused, worker.is_draining = heartbeat.is_paused, heartbeat.is_draining
    worker.last_error = heartbeat.last_error
    if heartbeat.hardware.cpus:
        worker.hardware = to_builtins(heartbeat.hardware)
    settings_note(worker, heartbeat.settings)
    if heartbeat.attached is not None:
        worker.stores = stores_note(worker, heartbeat.attached, now=now)
        moves_continue(worker, now=now)
    if heartbeat.log:
        told = {"log": list(heartbeat.log), "log_at": now}
        HostReport.objects.update_or_create(worker=worker, defaults=told)
    worker.save(update_fields=[*HEARTBEAT_FIELDS, "updated_at"])
    renewed: list[Renewed] = []
    lost: list[Lost] = []
    for held in heartbeat.held:
        job = lease_renew(worker, held, now=now)
        if job is None:
            lost.append(Lost(id=held.id, reason=_lost_text(held)))
        else:
            renewed.append(Renewed(id=held.id, token=job.lease_token, lease_s=job.lease_s))
    is_retired = retire_when_drained(worker, is_busy=bool(heartbeat.held), now=now)
    publish(Change("worker", worker.pk, worker.tenant_id))
    return HeartbeatAnswer(
        renewed=tuple(renewed),
        lost=tuple(lost),
        commands=commands_open(worker),
        takes_containers=takes_containers_here(),
        is_retired=is_retired,
    )


def _lost_text(held: HeldJob) -> str:
    """Return why a worker does not hold a job any more."""
    job = Job.objects.filter(uuid=held.id).first() if is_uuid(held.id) else None
    why = "" if job is None else lease_over_text(job, held.progress.token)
    return f"this lease is over: {why}" if why else "this lease is over"


def boot_check(worker: Worker, boot_id: str) -> None:
    """Refuse what an earlier start says, and one that has not reported its disk since a restore.

    Raises WorkerReplaced, WorkerRetired.
    """
    if worker.retired_at is not None:
        raise WorkerRetired(worker.name)
    if worker.boot_id != boot_id or must_register(worker):
        raise WorkerReplaced


def lease_renew(worker: Worker, held: HeldJob, *, now: datetime) -> Job | None:
    """Prolong one lease and store its progress; None if the worker does not hold it any more.

    A proof's lease that merely ran out goes on as long as nobody else has claimed the job: the console
    may have been away for longer than the few seconds of such a lease, and the work would be lost.
    """
    if not is_uuid(held.id):
        return None
    same = Job.objects.filter(uuid=held.id, lease_token=held.progress.token)
    ran_out = Q(state=JobState.READY, not_before=None, lease_token__gt=0) & ~Q(kind=JobKind.SEAL)
    here = Q(state=JobState.LEASED, worker=worker) | ran_out & Q(miner__tenant_id=worker.tenant_id)
    job = same.select_for_update(of=("self",)).filter(here).first()
    if job is None:
        return None
    if job.state == JobState.READY:
        advance(job, "GO_ON", worker=worker, updated_at=now)
    job.lease_until, job.heard_at = now + timedelta(seconds=job.lease_s), now
    job.save(update_fields=["lease_until", "heard_at"])
    if held.progress.stage == job.stage:
        progress_store(job, done=held.progress.done, total=held.progress.total, unit=held.progress.unit)
    return job


def progress_store(job: Job, *, done: int, total: int, unit: str) -> None:
    """Show how far a sector's stage is, or a proof."""
    if job.sector_id is None:
        proof_progress_store(job, done=done, total=total, unit=unit)
        return
    fresh = {"progress_done": done, "progress_total": total, "progress_unit": unit}
    sector = Sector.objects.filter(pk=job.sector_id)
    if sector.exclude(**fresh).update(**fresh):
        uuid, tenant_id = sector.values_list("uuid", "miner__tenant_id").get()
        publish(Change("sector", str(uuid), tenant_id))


def proof_progress_store(job: Job, *, done: int, total: int, unit: str) -> None:
    """Note how far a proof is, and at which height it was last heard to have come further.

    By the console's own head: a host that says the same, or less, does not move.
    """
    facts: dict[str, Any] = {"progress_total": total, "progress_unit": unit}
    if done > job.progress_done:
        head = head_current()
        facts |= {"progress_done": done, "moved_height": None if head is None else head.height}
    if any(getattr(job, name) != value for name, value in facts.items()):
        Job.objects.filter(pk=job.pk).update(**facts)


@transaction.atomic
def worker_command(
    worker: Worker, *, op: Operation, args: dict[str, str], actor: str, by: Principal | None = None
) -> WorkerCommand:
    """Queue a command for a host; it hears of it with its next heartbeat.  Raises BadSettings."""
    if op is Operation.SET_PLAN:
        values = values_read({f"{SLOTS}{stage}": count for stage, count in args.items()})
        return worker_settings_set(worker, values, actor=actor, by=by)
    if op is Operation.RESUME:
        retirement_cancel(worker)
    command = WorkerCommand.objects.create(worker=worker, op=op, args=args, actor=actor)
    before = {"paused": worker.is_paused, "draining": worker.is_draining}
    worker_audit(by, f"worker.{op}", worker, before=before, after={"command": str(op), **args})
    publish(Change("worker", worker.pk, worker.tenant_id))
    return command
