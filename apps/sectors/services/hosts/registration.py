"""Workers on sealing hosts register, at each start: what they are and what lies on their disks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from msgspec import to_builtins

from apps.core.live import Change, publish
from apps.core.uuids import is_uuid
from apps.messages.services.recovery.detect import RECOVERY_CHANGE
from apps.miners.selectors.miners import sector_bytes_usual
from apps.sectors.errors.hosts import WorkerReplaced, WorkerRetired
from apps.sectors.models import HostInventory, Worker
from apps.sectors.reasons import DATABASE_RESTORED, WORKER_RESTARTED
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.hosts import worker_machine
from apps.sectors.selectors.restored import must_register
from apps.sectors.services.audit import worker_audit
from apps.sectors.services.files.removals import leftovers_remove
from apps.sectors.services.hosts.commands import commands_open, orders_repeat, upgrades_end
from apps.sectors.services.hosts.settings import settings_note, settings_resend
from apps.sectors.services.jobs.leases import leases_end
from apps.sectors.services.roles.labels import worker_labels_sync
from apps.sectors.services.stores.reported import stores_note
from apps.users.rules.principals import Principal
from apps.users.services.audit import AuditEvent, audit_entries_record
from poolsite.wire.codec import document_encode
from poolsite.wire.hosts import Register, Registered
from poolsite.wire.jobs import JobKind


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
        leases_end(worker, now=now, reason=WORKER_RESTARTED())
        worker.restarts += 1
        worker.registered_at = now
        upgrades_end(worker, now=now)
        orders_repeat(worker)
    for name, value in facts.items():
        setattr(worker, name, value)
    settings_resend(worker, configured=dict(register.configured))
    if JobKind.SEAL in register.kinds:
        _inventory_store(worker, register, now=now)
    leftovers_remove(worker, job_ids=[sector.job for sector in register.sectors if is_uuid(sector.job)])
    worker.boot_id, worker.seen_at = register.boot_id, now
    settings_note(worker, settings=register.settings)
    if register.attached is not None:
        worker.stores = stores_note(worker, reported=register.attached, now=now)
    worker.save()
    if is_started:
        after = {"boot": register.boot_id, "version": register.version, "host": register.host}
        worker_audit(by, action="worker.register", worker=worker, before=before, after=after)
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
        work_wait_s=policy.work_wait_s,
        lease_s=policy.lease_s,
        poll_ms=policy.poll_ms,
        commands=commands_open(worker, now=now),
        sector_bytes=sector_bytes_usual(worker.tenant_id),
    )


def _inventory_store(worker: Worker, register: Register, *, now: datetime) -> None:
    """Keep what the host has on its disk.  The first time after a restore its leases end: their tokens
    may be the ones that are given out next.
    """
    if must_register(worker):
        leases_end(worker, now=now, reason=DATABASE_RESTORED())
        publish(RECOVERY_CHANGE)
    HostInventory.objects.update_or_create(
        worker=worker,
        defaults={
            "told_at": now,
            "sectors": [document_encode(sector) for sector in register.sectors],
            "stored": [document_encode(numbers) for numbers in register.stored],
        },
    )
