"""Reads of hosts: who may see them, their settings, their commands, what only they store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Prefetch, Q, QuerySet

from apps.core.uuids import is_uuid
from apps.sectors.errors.hosts import WorkerAmbiguous, WorkerUnknown
from apps.sectors.models import (
    HostReport,
    Job,
    Sector,
    SharedSettings,
    StoreAttachment,
    Worker,
    WorkerCommand,
)
from apps.sectors.rules.policy import sealing_policy
from apps.sectors.selectors.ended_sectors import needs_no_proof
from apps.sectors.states import JobState
from apps.users.models import Tenant
from apps.users.rules.principals import Principal
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState

WORKER_OF: Final = f"SELECT * FROM {Worker._meta.db_table} WHERE uuid = %s AND tenant_id = %s"  # noqa: S608
"""Written out: every request of a host asks for it."""


HELD_FIELDS: Final = (
    *("uuid", "kind", "stage", "worker_id", "progress_done", "progress_total", "progress_unit"),
    *("miner__actor_id", "sector__number", "sector__progress_done", "sector__progress_total"),
)
"""The fields of jobs that hosts hold."""
SHOWN_IDS: Final = 5
"""Most rows of one name whose ids a refusal shows."""


def tenant_of_hosts(pk: int) -> Tenant:
    """Return a tenant that `host_groups` named."""
    return Tenant.objects.get(pk=pk)


def jobs_held(viewer: Principal) -> QuerySet[Job]:
    """Return the jobs that hosts hold; to a token for some miners, those of these."""
    leased = Job.objects.filter(state=JobState.LEASED)
    return leased.filter(miner__actor_id__in=viewer.miners) if viewer.miners else leased


def workers_visible(viewer: Principal) -> QuerySet[Worker]:
    """Return the workers that this caller may know of, with the jobs they hold as `held_jobs`.

    To a token for some miners, with the jobs of these.
    """
    leased = jobs_held(viewer).select_related("sector", "miner").only(*HELD_FIELDS).order_by("pk")
    workers = (
        Worker.objects.filter(retired_at=None)
        .select_related("tenant")
        .prefetch_related(Prefetch("jobs", queryset=leased, to_attr="held_jobs"))
        .order_by("name", "pk")
    )
    return workers if viewer.sees_pool else workers.filter(tenant_id=viewer.own_id)


def worker_get(viewer: Principal, name: str) -> Worker:
    """Return the worker with this uuid, or with this name if no other has it.

    Raises WorkerUnknown, WorkerAmbiguous.
    """
    by = {"uuid": name} if is_uuid(name) else {"name": name}
    found = list(workers_visible(viewer).filter(**by)[:SHOWN_IDS])
    if len(found) > 1:
        raise WorkerAmbiguous(name, [str(one.uuid) for one in found])
    if not found:
        raise WorkerUnknown(name)
    return found[0]


def worker_of(tenant_id: int, uuid: str) -> Worker:
    """Return a worker as it calls: its own account's, retired ones included.  Raises WorkerUnknown."""
    rows = Worker.objects.raw(WORKER_OF, [uuid, tenant_id]) if is_uuid(uuid) else ()
    worker = next(iter(rows), None)
    if worker is None:
        raise WorkerUnknown(uuid)
    return worker


def proves_windows(worker: Worker) -> bool:
    """Return whether a host makes the proofs of windows."""
    return str(JobKind.WINDOW_POST) in worker.kinds


def worker_is_away(worker: Worker, *, now: datetime) -> bool:
    """Return whether a worker has been silent for too long."""
    return now - worker.seen_at > timedelta(seconds=sealing_policy().worker_away_s)


def worker_machine(worker: Worker) -> str:
    """Return the machine that a worker runs on, by which roles know it; its own name where it has none."""
    return worker.host or worker.name


def worker_target(worker: Worker) -> str:
    """Return what the audit log calls a host."""
    return f"{worker.name} ({worker.uuid})"


def workers_of_host(tenant_id: int, host: str) -> QuerySet[Worker]:
    """Return a tenant's workers on one machine."""
    on_it = Q(host=host) | Q(host="", name=host)
    return Worker.objects.filter(on_it, tenant_id=tenant_id, retired_at=None)


def shared_settings_of(worker: Worker) -> dict[str, SharedSettings]:
    """Return the settings of the pool, of a host's tenant and of its group, by level."""
    mine = Q(tenant=None) | Q(tenant_id=worker.tenant_id, group="")
    if worker.group:
        mine |= Q(tenant_id=worker.tenant_id, group=worker.group)
    rows = SharedSettings.objects.filter(mine)
    return {"pool" if row.tenant_id is None else "group" if row.group else "tenant": row for row in rows}


def host_groups(viewer: Principal) -> list[tuple[int, str, str]]:
    """Return the tenants and groups of the viewer's hosts: key and name of the tenant, and the group."""
    rows = workers_visible(viewer).select_related(None).prefetch_related(None)
    found = rows.order_by("tenant__name", "group").values_list("tenant_id", "tenant__name", "group")
    return list(found.distinct())


def shared_settings_visible(viewer: Principal) -> QuerySet[SharedSettings]:
    """Return the settings that the viewer's hosts share, the pool's first."""
    rows = SharedSettings.objects.select_related("tenant").order_by("tenant__name", "group")
    return rows if viewer.sees_pool else rows.filter(Q(tenant=None) | Q(tenant_id=viewer.own_id))


def sectors_stored_only_on(worker: Worker) -> int:
    """Count the sectors that need proofs in stores which no other host of the tenant has, even away ones."""
    others = Worker.objects.filter(tenant_id=worker.tenant_id, retired_at=None).exclude(pk=worker.pk)
    shared = {store for stores in others.values_list("stores", flat=True) for store in stores}
    shared |= set(StoreAttachment.objects.filter(worker__in=others).values_list("store__name", flat=True))
    alone = {*worker.stores, *worker.attachments.values_list("store__name", flat=True)} - shared
    rows = Sector.objects.filter(tenant_id=worker.tenant_id, state=SectorState.PROVING, store__in=alone)
    rows = rows.exclude(needs_no_proof())
    return rows.count() if alone else 0


def host_report(worker: Worker) -> HostReport | None:
    """Return what a host told of itself that only its page shows."""
    return HostReport.objects.filter(worker=worker).first()


def commands_open(viewer: Principal) -> dict[int, str]:
    """Return what the viewer's hosts were told last and have not done yet, by the worker's key."""
    rows = WorkerCommand.objects.filter(worker__retired_at=None, done_at=None).order_by("pk")
    rows = rows if viewer.sees_pool else rows.filter(worker__tenant_id=viewer.own_id)
    return dict(rows.values_list("worker_id", "op"))
