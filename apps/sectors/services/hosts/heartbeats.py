"""Heartbeats of workers: they renew leases, note what a host says of itself, and bring its commands.

Their statements are planned once: of 2,000 hosts a hundred are heard each second.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec
from django.db import transaction

from apps.core.live import Change, publish
from apps.core.marked_texts import gettext
from apps.core.prepared_statements import Prepared
from apps.core.reasons import coded, quoted
from apps.core.uuids import is_uuid
from apps.miners.states import RoleState
from apps.sectors.errors.hosts import WorkerReplaced
from apps.sectors.models import HostReport, Job, Worker
from apps.sectors.selectors.boot_ids import boot_require
from apps.sectors.selectors.jobs import lease_over_text
from apps.sectors.selectors.proof_forms import (
    NETWORK_VERSION,
    epoch_s_at,
    takes_containers_at,
    ticket_times_at,
)
from apps.sectors.selectors.restored import must_register
from apps.sectors.services.files.removals import ended_jobs_find, removals_note, unknown_jobs_find
from apps.sectors.services.hosts.commands import commands_open
from apps.sectors.services.hosts.leftovers import leftovers_note, sealing_orders_note
from apps.sectors.services.hosts.retirement import retirement_lock, worker_retire_if_drained
from apps.sectors.services.hosts.settings import settings_note
from apps.sectors.services.jobs.lease_renewals import leases_renew
from apps.sectors.services.roles.assignments import worker_roles_renew
from apps.sectors.services.stores.check_results import checks_note
from apps.sectors.services.stores.checks import checks_continue
from apps.sectors.services.stores.finding_results import findings_note
from apps.sectors.services.stores.move_steps import moves_continue
from apps.sectors.services.stores.reported import orders_note, stores_lock, stores_note
from apps.sectors.services.stores.scans import scans_note
from apps.sectors.states import OPEN_MOVES, StoreCheckState
from poolsite.wire.hosts import Heartbeat, HeartbeatAnswer, HeldJob, Lost
from poolsite.wire.jobs import JobKind


def _listed(states: Iterable[str]) -> str:
    return ", ".join(f"'{state}'" for state in sorted(states))


FACTS: Final = Prepared(
    "heartbeat_facts",
    f"""
SELECT recovery.restored_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM sectors_hostinventory told
    WHERE told.worker_id = $1 AND told.told_at >= recovery.restored_at),
  EXISTS (SELECT 1 FROM miners_role role JOIN miners_miner miner ON miner.id = role.miner_id
    WHERE miner.tenant_id = $2 AND role.state <> '{RoleState.REMOVED}'),
  EXISTS (SELECT 1 FROM sectors_storemove WHERE worker_id = $1 AND state IN ({_listed(OPEN_MOVES)})),
  EXISTS (SELECT 1 FROM sectors_storecheck
    WHERE worker_id = $1 AND state = '{StoreCheckState.RUNNING}'),
  {NETWORK_VERSION}
FROM (SELECT 1) here LEFT JOIN messages_recovery recovery ON true ORDER BY recovery.id LIMIT 1""",  # noqa: S608
    ["bigint", "bigint"],
)
"""Whether a worker ($1) has not reported its disk since a restore, whether its tenant ($2) has roles, whether
the worker has open moves and checks; and the version of the network's row.
"""

HEARD: Final = Prepared(
    "worker_heard",
    """
UPDATE sectors_worker SET seen_at = $2, updated_at = $2, is_paused = $3, is_draining = $4, last_error = $5,
  last_error_coded = $6, hardware = coalesce($7, hardware)
WHERE id = $1
RETURNING EXISTS (SELECT 1 FROM sectors_workercommand WHERE worker_id = $1 AND done_at IS NULL)""",
    ["bigint", "timestamptz", "boolean", "boolean", "text", "jsonb", "jsonb"],
)
"""What every heartbeat says, with the machine ($7) where that changed; gives whether a command is open."""


REPORTED_FIELDS = ("slots", "stores")
"""Columns of a worker that a heartbeat may change, and seldom does."""


@transaction.atomic
def worker_heartbeat(worker: Worker, *, heartbeat: Heartbeat, now: datetime) -> HeartbeatAnswer:
    """Renew the worker's leases and note how far its stages are.

    Raises WorkerReplaced if another start of the worker has registered since, WorkerRetired.
    """
    boot_require(worker, boot_id=heartbeat.boot_id)
    [facts] = FACTS.rows([worker.pk, worker.tenant_id])
    is_unreported, has_roles, has_moves, has_checks, network = facts
    if str(JobKind.SEAL) in worker.kinds:
        if is_unreported:
            raise WorkerReplaced
    elif must_register(worker):
        raise WorkerReplaced
    retirement_lock(worker, is_draining=heartbeat.is_draining, is_busy=bool(heartbeat.held))
    if has_roles:
        worker_roles_renew(worker, now=now)
    worker.seen_at = now
    worker.is_paused, worker.is_draining = heartbeat.is_paused, heartbeat.is_draining
    worker.last_error = last_error = quoted(heartbeat.last_error, by="host")
    machine = msgspec.json.decode(msgspec.json.encode(heartbeat.hardware))  # lists as in the row, no tuples
    hardware = machine if heartbeat.hardware.cpus else worker.hardware
    new_hardware = None if hardware == worker.hardware else json.dumps(hardware)
    worker.hardware = hardware
    code = json.dumps(coded(last_error)) if last_error else None
    heard = [worker.pk, now, worker.is_paused, worker.is_draining, str(last_error), code, new_hardware]
    [(has_commands,)] = HEARD.rows(heard)
    _done_note(worker, heartbeat=heartbeat, has_more=has_moves or has_checks, now=now)
    before = {name: getattr(worker, name) for name in REPORTED_FIELDS}
    settings_note(worker, settings=heartbeat.settings)
    leftovers_note(worker, reported=heartbeat.leftovers)
    if heartbeat.attached is not None:
        worker.stores = stores_note(worker, reported=heartbeat.attached, now=now)
        if has_moves:
            moves_continue(worker, now=now)
        if has_checks:
            checks_continue(worker, now=now)
    if heartbeat.log:
        reported = {"log": list(heartbeat.log), "log_at": now}
        HostReport.objects.update_or_create(worker=worker, defaults=reported)
    changed = [name for name in REPORTED_FIELDS if getattr(worker, name) != before[name]]
    if changed:
        worker.save(update_fields=changed)
    may_have_orders = has_commands or has_moves or has_checks or bool(changed)
    renewed = leases_renew(worker, held_jobs=heartbeat.held, now=now)
    renewed_ids = {one.id for one in renewed}
    lost = [Lost(id=job.id, reason=_lost_text(job)) for job in heartbeat.held if job.id not in renewed_ids]
    is_retired = worker_retire_if_drained(worker, is_busy=bool(heartbeat.held), now=now)
    publish(Change("worker", worker.pk, worker.tenant_id))
    return HeartbeatAnswer(
        renewed=tuple(renewed),
        lost=tuple(lost),
        commands=commands_open(worker, now=now) if may_have_orders else (),
        takes_containers=takes_containers_at(network),
        epoch_s=epoch_s_at(network),
        tickets=ticket_times_at(network),
        is_retired=is_retired,
        over=ended_jobs_find(worker, job_ids=heartbeat.parked),
        unknown_jobs=unknown_jobs_find(worker, job_ids=heartbeat.parked),
    )


def _done_note(worker: Worker, *, heartbeat: Heartbeat, has_more: bool, now: datetime) -> None:
    """Note what the worker has done, and what came of it.

    `has_more`: its moves and checks go on afterwards, whose stores are locked now.
    """
    done = [text for text in heartbeat.done_commands if is_uuid(text)]
    if done or has_more:
        stores_lock(worker)
    if not done:
        return
    removals_note(worker, commands=done, now=now)
    findings_note(worker, done=done, checked=heartbeat.checked, errors=heartbeat.command_errors, now=now)
    checks_note(worker, done=done, checked=heartbeat.checked, errors=heartbeat.command_errors, now=now)
    scans_note(worker, done=done, scanned=heartbeat.scanned, errors=heartbeat.command_errors, now=now)
    orders_note(worker, done=done, errors=heartbeat.command_errors, now=now)
    sealing_orders_note(worker, done=done, errors=heartbeat.command_errors)
    worker.commands.filter(uuid__in=done, done_at=None).update(done_at=now)


def _lost_text(held_job: HeldJob) -> str:
    """Return why a worker does not hold a job any more."""
    job = Job.objects.filter(uuid=held_job.id).first() if is_uuid(held_job.id) else None
    why = "" if job is None else lease_over_text(job, held_job.progress.token)
    return (
        gettext("this lease is over: {reason}").format(reason=why) if why else gettext("this lease is over")
    )
