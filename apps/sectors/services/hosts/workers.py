"""Workers on sealing hosts: they register, stay alive by heartbeats, and take commands with the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext
from msgspec import to_builtins

from apps.chain.selectors import head_current
from apps.core import clock
from apps.core.live import Change, publish, publish_all
from apps.core.transitions import advance
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.miners.selectors import sector_bytes_usual
from apps.sectors.errors import UpgradeUnknown, WorkerReplaced, WorkerRetired
from apps.sectors.models import HostInventory, HostReport, Job, Sector, Worker, WorkerCommand
from apps.sectors.policy import sealing_policy
from apps.sectors.proof_forms import epoch_s_at, takes_containers_at
from apps.sectors.selectors.hosts import is_uuid, worker_machine
from apps.sectors.selectors.jobs import lease_over_text
from apps.sectors.selectors.restored import must_register
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.hosts.heartbeat_statements import FACTS, HEARD, RENEW
from apps.sectors.services.hosts.leftovers import (
    leftovers_note,
    sealing_orders_note,
    sealing_orders_withdraw,
)
from apps.sectors.services.hosts.removals import (
    jobs_over,
    leftovers_remove,
    removals_note,
    unknown_jobs,
)
from apps.sectors.services.hosts.retirement import retire_when_drained, retirement_cancel, retirement_lock
from apps.sectors.services.hosts.settings import (
    SLOTS,
    settings_note,
    settings_resend,
    values_read,
    worker_settings_set,
)
from apps.sectors.services.jobs.leases import leases_end
from apps.sectors.services.roles.assignments import worker_roles_renew
from apps.sectors.services.roles.labels import worker_labels_sync
from apps.sectors.services.stores.checks import checks_continue, checks_note
from apps.sectors.services.stores.finding_results import findings_note
from apps.sectors.services.stores.findings import removals_withdraw
from apps.sectors.services.stores.moves import moves_continue
from apps.sectors.services.stores.reported import orders_note, stores_note
from apps.sectors.services.stores.scans import scans_note
from apps.sectors.states import JobState
from apps.users.services.audit import AuditEvent, audit_entries_record
from poolsite.wire.codec import document_encode
from poolsite.wire.commands import WITHOUT_UPGRADE, Command, Operation
from poolsite.wire.hosts import HeartbeatAnswer, Lost, Registered, Renewed
from poolsite.wire.jobs import JobKind

TOLD_FIELDS = ("hardware", "slots", "stores")
"""Columns of a worker that a heartbeat may change, and seldom does."""

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from apps.users.principals import Principal
    from poolsite.wire.hosts import Heartbeat, HeldJob, Register
    from poolsite.wire.job_reports import Progress


@transaction.atomic
def worker_register(
    register: Register, *, tenant_id: int, now: datetime, by: Principal | None = None
) -> tuple[Worker, Registered]:
    """Register a worker; a new boot id ends the leases of its earlier start at once.

    The jobs keep their files' host: only this uid may claim them again.  Roles of its group go with it to
    the machine that it names.  Raises WorkerRetired; WorkerReplaced if another start registers this moment.
    """
    facts = _facts(register) | {"name": _name_apart(register, tenant_id=tenant_id)}
    machine, roles = register.host or register.name, list[AuditEvent]()
    known = Worker.objects.filter(tenant_id=tenant_id, uid=register.uid, retired_at=None).first()
    if known is not None and worker_machine(known) != machine:
        roles = worker_labels_sync(known, host=machine, by=by, now=now)
    # No lock on its key: reports hold a job while its new event refers to this row.
    worker, is_new = Worker.objects.select_for_update(no_key=True).get_or_create(
        tenant_id=tenant_id,
        uid=register.uid,
        defaults={"boot_id": register.boot_id, "registered_at": now, "seen_at": now, **facts},
    )
    if worker.retired_at is not None:
        raise WorkerRetired(worker.name)
    if known is not None and worker_machine(known) != worker_machine(worker):
        raise WorkerReplaced
    before = None if is_new else {"boot": worker.boot_id, "version": worker.version, "host": worker.host}
    is_started = is_new or worker.boot_id != register.boot_id
    if is_started and not is_new:
        leases_end(worker, now=now, reason=gettext("the worker was restarted"))
        worker.restarts += 1
        worker.registered_at = now
        upgrades_end(worker, now=now)
        orders_again(worker)
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
    if is_started:
        after = {"boot": register.boot_id, "version": register.version, "host": register.host}
        worker_audit(by, "worker.register", worker=worker, before=before, after=after)
    audit_entries_record(roles)
    publish(Change("worker", worker.pk, tenant_id))
    return worker, _registered(worker, now=now)


def _name_apart(register: Register, *, tenant_id: int) -> str:
    """Return a host's name, with the end of its uid where another host of the tenant has that name.

    A host without a machine's name keeps its own: that is what its roles go by.
    """
    apart = f"{register.name[:91]} {register.uid[-8:]}"
    rows = Worker.objects.filter(tenant_id=tenant_id, retired_at=None)
    mine = rows.filter(uid=register.uid, name=apart)
    others = rows.filter(name=register.name).exclude(uid=register.uid)
    return apart if register.host and (mine.exists() or others.exists()) else register.name


def _facts(register: Register) -> dict[str, Any]:
    """Return the columns that a worker says of itself at each start."""
    return {
        "name": register.name,
        "host": register.host,
        "version": register.version,
        "kinds": [str(kind) for kind in register.kinds],
        "slots": register.slots,
        "stores": list(register.stores),
        "hardware": to_builtins(register.hardware),
    }


def _registered(worker: Worker, *, now: datetime) -> Registered:
    """Return the answer to a registration."""
    policy = sealing_policy()
    return Registered(
        worker_id=str(worker.uuid),
        heartbeat_s=policy.heartbeat_s,
        lease_s=policy.lease_s,
        poll_ms=policy.poll_ms,
        commands=commands_open(worker, now=now),
        sector_bytes=sector_bytes_usual(worker.tenant_id),
    )


def upgrades_end(worker: Worker, *, now: datetime) -> None:
    """Ask a worker no longer to end for another version: it has started anew, or is to go on."""
    worker.commands.filter(op=Operation.UPGRADE, done_at=None).update(done_at=now)


def orders_again(worker: Worker) -> None:
    """Order again what a start has forgotten: that the host is paused or drained, unless it is to go on."""
    ops = (Operation.PAUSE, Operation.DRAIN, Operation.RESUME)
    asked = set(worker.commands.filter(op__in=ops, done_at=None).values_list("op", flat=True))
    if Operation.RESUME in asked:
        return
    is_draining = worker.is_draining or worker.retire_asked_at is not None
    for op, is_so in ((Operation.PAUSE, worker.is_paused), (Operation.DRAIN, is_draining)):
        if is_so and op not in asked:
            WorkerCommand.objects.create(worker=worker, op=op, actor="console")


def _inventory_store(worker: Worker, register: Register, *, now: datetime) -> None:
    """Keep what the host has on its disk.  The first time after a restore its leases end: their tokens
    may be the ones that are given out next.
    """
    if must_register(worker):
        leases_end(worker, now=now, reason=gettext("the database was restored from a backup"))
        publish(RECOVERY_CHANGE)
    HostInventory.objects.update_or_create(
        worker=worker,
        defaults={
            "told_at": now,
            "sectors": [document_encode(sector) for sector in register.sectors],
            "stored": [document_encode(numbers) for numbers in register.stored],
        },
    )


def commands_open(worker: Worker, *, now: datetime) -> tuple[Command, ...]:
    """Return what the worker has not done yet and is still to do; call it in a transaction."""
    rows = list(worker.commands.filter(done_at=None).order_by("pk"))
    withdrawn = removals_withdraw(rows, now=now) | sealing_orders_withdraw(worker, rows, now=now)
    told = (row for row in rows if row.pk not in withdrawn)
    return tuple(Command(id=str(row.uuid), op=Operation(row.op), args=row.args) for row in told)


@transaction.atomic
def worker_heartbeat(worker: Worker, heartbeat: Heartbeat, *, now: datetime) -> HeartbeatAnswer:
    """Renew the worker's leases and note how far its stages are.

    Raises WorkerReplaced if another start of the worker has registered since, WorkerRetired.
    """
    boot_require(worker, heartbeat.boot_id)
    [(is_unreported, has_roles, has_commands, network)] = FACTS.rows([worker.pk, worker.tenant_id])
    if str(JobKind.SEAL) in worker.kinds:
        if is_unreported:
            raise WorkerReplaced
    elif must_register(worker):
        raise WorkerReplaced
    if has_roles:
        retirement_lock(worker, is_draining=heartbeat.is_draining, is_busy=bool(heartbeat.held))
        worker_roles_renew(worker, now=now)
    if done := [text for text in heartbeat.done_commands if is_uuid(text)]:
        removals_note(worker, done, now=now)
        findings_note(worker, done, checked=heartbeat.checked, errors=heartbeat.command_errors, now=now)
        checks_note(worker, done, checked=heartbeat.checked, errors=heartbeat.command_errors, now=now)
        scans_note(worker, done, scanned=heartbeat.scanned, errors=heartbeat.command_errors, now=now)
        orders_note(worker, done, errors=heartbeat.command_errors, now=now)
        sealing_orders_note(worker, done, errors=heartbeat.command_errors)
        worker.commands.filter(uuid__in=done, done_at=None).update(done_at=now)
    before = {name: getattr(worker, name) for name in TOLD_FIELDS}
    worker.seen_at = now
    worker.is_paused, worker.is_draining = heartbeat.is_paused, heartbeat.is_draining
    worker.last_error = heartbeat.last_error
    if heartbeat.hardware.cpus:
        worker.hardware = to_builtins(heartbeat.hardware)
    settings_note(worker, heartbeat.settings)
    leftovers_note(worker, heartbeat.leftovers)
    if heartbeat.attached is not None:
        worker.stores = stores_note(worker, heartbeat.attached, now=now)
        moves_continue(worker, now=now)
        checks_continue(worker, now=now)
    if heartbeat.log:
        told = {"log": list(heartbeat.log), "log_at": now}
        HostReport.objects.update_or_create(worker=worker, defaults=told)
    changed = [name for name in TOLD_FIELDS if getattr(worker, name) != before[name]]
    if changed:
        worker.save(update_fields=changed)
    HEARD.execute([worker.pk, now, worker.is_paused, worker.is_draining, worker.last_error])
    renewed = leases_renew(worker, heartbeat.held, now=now)
    ours = {one.id for one in renewed}
    lost = [Lost(id=held.id, reason=_lost_text(held)) for held in heartbeat.held if held.id not in ours]
    is_retired = retire_when_drained(worker, is_busy=bool(heartbeat.held), now=now)
    may_have_commands = has_commands or bool(done) or heartbeat.attached is not None
    publish(Change("worker", worker.pk, worker.tenant_id))
    return HeartbeatAnswer(
        renewed=tuple(renewed),
        lost=tuple(lost),
        commands=commands_open(worker, now=now) if may_have_commands else (),
        takes_containers=takes_containers_at(network),
        epoch_s=epoch_s_at(network),
        is_retired=is_retired,
        over=jobs_over(worker, heartbeat.parked),
        unknown_jobs=unknown_jobs(worker, heartbeat.parked),
    )


def _lost_text(held: HeldJob) -> str:
    """Return why a worker does not hold a job any more."""
    job = Job.objects.filter(uuid=held.id).first() if is_uuid(held.id) else None
    why = "" if job is None else lease_over_text(job, held.progress.token)
    return (
        gettext("this lease is over: {reason}").format(reason=why) if why else gettext("this lease is over")
    )


def boot_check(worker: Worker, boot_id: str) -> None:
    """Refuse what an earlier start says, and one that has not reported its disk since a restore.

    Raises WorkerReplaced, WorkerRetired.
    """
    boot_require(worker, boot_id)
    if must_register(worker):
        raise WorkerReplaced


def boot_require(worker: Worker, boot_id: str) -> None:
    """Refuse what an earlier start says, or a retired worker.  Raises WorkerReplaced, WorkerRetired."""
    if worker.retired_at is not None:
        raise WorkerRetired(worker.name)
    if worker.boot_id != boot_id:
        raise WorkerReplaced


def leases_renew(worker: Worker, held: Sequence[HeldJob], *, now: datetime) -> list[Renewed]:
    """Prolong leases and store their progress; return those that the worker still holds.

    A host holds dozens: a heartbeat takes as many statements for all of them as for one.
    """
    told = {UUID(one.id): one for one in held if is_uuid(one.id)}
    if not told:
        return []
    fields = [(str(uuid), *progress_values(one.progress)) for uuid, one in told.items()]
    rows = RENEW.rows([now, worker.pk, *map(list, zip(*fields, strict=True))])
    publish_all([Change("sector", sector, worker.tenant_id) for *_, sector in rows if sector is not None])
    proofs = [uuid for uuid, _, is_told_proof, _ in rows if is_told_proof]
    for job in Job.objects.filter(uuid__in=proofs) if proofs else ():
        proof_progress_store(job, told[job.uuid].progress)
    leases = {UUID(uuid): lease_s for uuid, lease_s, *_ in rows}
    if len(leases) < len(told):
        late = [one for uuid, one in told.items() if uuid not in leases]
        leases |= {job.uuid: job.lease_s for job in _proofs_go_on(worker, late, now=now)}
    return [
        Renewed(id=one.id, token=one.progress.token, lease_s=leases[uuid])
        for uuid, one in told.items()
        if uuid in leases
    ]


def progress_values(progress: Progress) -> tuple[int, str, int, int, str]:
    """Return token, stage, done, total and unit."""
    return progress.token, progress.stage, progress.done, progress.total, progress.unit


def _proofs_go_on(worker: Worker, held: Sequence[HeldJob], *, now: datetime) -> list[Job]:
    """Lease proofs again whose lease merely ran out, as long as nobody else has claimed them.

    The console may have been away for longer than the few seconds of such a lease; the work would be lost.
    """
    told = {UUID(one.id): one.progress for one in held}
    ran_out = Q(state=JobState.READY, not_before=None, lease_token__gt=0) & ~Q(kind=JobKind.SEAL)
    rows = Job.objects.filter(ran_out, uuid__in=told, miner__tenant_id=worker.tenant_id)
    gone_on: list[Job] = []
    for job in rows.select_for_update(of=("self",)).order_by("pk"):
        if job.lease_token != told[job.uuid].token:
            continue
        until = now + timedelta(seconds=job.lease_s)
        advance(job, "GO_ON", worker=worker, updated_at=now, lease_until=until, heard_at=now)
        if told[job.uuid].stage == job.stage:
            progress_store(job, told[job.uuid])
        gone_on.append(job)
    return gone_on


def progress_store(job: Job, progress: Progress) -> None:
    """Show how far a sector's stage is, or a proof."""
    if job.sector_id is None:
        proof_progress_store(job, progress)
        return
    fresh = {
        "progress_done": progress.done,
        "progress_total": progress.total,
        "progress_unit": progress.unit,
    }
    sector = Sector.objects.filter(pk=job.sector_id)
    if sector.exclude(**fresh).update(**fresh):
        uuid, tenant_id = sector.values_list("uuid", "miner__tenant_id").get()
        publish(Change("sector", str(uuid), tenant_id))


def proof_progress_store(job: Job, progress: Progress) -> None:
    """Note how far a proof is, and at which height it was last heard to have come further.

    By the console's own head: a host that says the same, or less, does not move.
    """
    facts: dict[str, Any] = {"progress_total": progress.total, "progress_unit": progress.unit}
    if progress.done > job.progress_done:
        head = head_current()
        facts |= {"progress_done": progress.done, "moved_height": None if head is None else head.height}
    if any(getattr(job, name) != value for name, value in facts.items()):
        Job.objects.filter(pk=job.pk).update(**facts)


ORDERED: Final[dict[str, dict[str, bool]]] = {
    Operation.PAUSE: {"paused": True},
    Operation.RESUME: {"paused": False, "draining": False},
    Operation.DRAIN: {"draining": True},
}
"""What a host is to be after a command."""


@transaction.atomic
def worker_command(
    worker: Worker, *, op: Operation, args: dict[str, str], actor: str, by: Principal | None = None
) -> WorkerCommand:
    """Queue a command for a host; it hears of it with its next heartbeat.

    Raises BadSettings, UpgradeUnknown.
    """
    if op is Operation.SET_PLAN:
        values = values_read({f"{SLOTS}{stage}": count for stage, count in args.items()})
        return worker_settings_set(worker, values, actor=actor, by=by)
    if op is Operation.RESUME:
        retirement_cancel(worker)
        upgrades_end(worker, now=clock.now())
    if op is Operation.UPGRADE and worker.version in WITHOUT_UPGRADE:
        raise UpgradeUnknown(worker.name, worker.version)
    command = WorkerCommand.objects.create(worker=worker, op=op, args=args, actor=actor)
    ordered = ORDERED.get(op, {})
    before = {"paused": worker.is_paused, "draining": worker.is_draining} if ordered else None
    worker_audit(
        by, f"worker.{op}", worker=worker, before=before, after={"command": str(op), **ordered, **args}
    )
    publish(Change("worker", worker.pk, worker.tenant_id))
    return command
