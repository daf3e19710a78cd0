"""Files of sectors that are over: their hosts are told to remove them, until they say that it was done."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.core.live import Change, publish
from apps.core.uuids import is_uuid
from apps.sectors.models import DAMOCLES, Job, Sector, Store, StoreAttachment, Worker, WorkerCommand
from apps.sectors.selectors.restored import sectors_recovery
from apps.sectors.services.files.copies import copies_forget
from apps.sectors.services.timeline import job_event_write
from apps.sectors.states import JobState
from poolsite.wire.commands import Operation
from poolsite.wire.jobs import JobKind
from poolsite.wire.pipeline import SectorState

FILES_REMOVED = "FILES_REMOVED"
"""Event of a job whose files a host has removed."""


def files_remove(sector: Sector, *, job: Job, actor: str) -> list[WorkerCommand]:
    """Order the hosts that may have a sector's files to remove them."""
    return [_removal(host, job=job, sector=sector, actor=actor) for host in file_hosts_find(sector, job=job)]


def file_hosts_find(sector: Sector, *, job: Job) -> QuerySet[Worker]:
    """Return the hosts that may have a sector's files: its own, and its store's, which may be away now."""
    # A damocles-worker wipes its own folders.
    may_have = Q(pk=job.sticky_worker_id) & ~Q(kinds__contains=[DAMOCLES])
    if sector.store:
        attached = StoreAttachment.objects.filter(store__name=sector.store).values("worker")
        has_store = Q(stores__contains=[sector.store]) | Q(pk__in=attached)
        may_have |= has_store & Q(kinds__contains=[str(JobKind.SEAL)])
    hosts = Worker.objects.filter(may_have, tenant_id=sector.miner.tenant_id, retired_at=None)
    return hosts.order_by("pk")


def store_leftovers_remove(worker: Worker, *, store: Store) -> None:
    """Order a host that attaches a store to remove from it what is over and was removed from it by nobody."""
    if str(JobKind.SEAL) not in worker.kinds:
        return
    over = Q(sector__state=SectorState.ABORTED) | Q(sector__removal_asked_at__isnull=False)
    jobs = Job.objects.filter(over, sector__tenant_id=store.tenant_id, sector__store=store.name)
    seen_to = WorkerCommand.objects.filter(op=Operation.REMOVE, args__store=store.name).filter(
        Q(done_at__isnull=False, error="") | Q(done_at=None, worker__retired_at=None)
    )
    known = set(seen_to.values_list("args__job", flat=True))
    for job in jobs.select_related("sector__miner").order_by("pk"):
        if job.sector is not None and str(job.uuid) not in known:
            _removal(worker, job=job, sector=job.sector, actor="console")


def removals_detach_store(worker: Worker, *, store: Store) -> None:
    """Note that removals which a host has not done yet no longer see to a store that it has detached."""
    for command in worker.commands.filter(op=Operation.REMOVE, done_at=None, args__store=store.name):
        command.args = {name: value for name, value in command.args.items() if name != "store"}
        command.save(update_fields=["args"])


def sealing_folder_clear(sector: Sector, *, job: Job, actor: str) -> list[WorkerCommand]:
    """Order the hosts that may have begun with a run to clear their sealing folders; the store stays."""
    rows = Worker.objects.filter(pk__in=job.offered_to or [], retired_at=None)
    # A damocles-worker wipes its own folders.
    hosts = rows.exclude(kinds__contains=[DAMOCLES]) if job.lease_token else ()
    return [_removal(host, job=job, sector=sector, actor=actor, keeps_store=True) for host in hosts]


def sealing_folder_leave(host: Worker, *, job: Job, sector: Sector) -> WorkerCommand:
    """Order a host to clear its sealing folder of a sector that another one begins again."""
    return _removal(host, job=job, sector=sector, actor="console", keeps_store=True)


def leftovers_remove(worker: Worker, *, job_ids: Collection[str]) -> None:
    """Order a host that registers to remove what it still has of sectors that are over."""
    requested = worker.commands.filter(op=Operation.REMOVE, done_at=None).values_list("args__job", flat=True)
    left = Job.objects.filter(
        Q(sector__state=SectorState.ABORTED) | Q(sector__removal_asked_at__isnull=False),
        uuid__in=set(job_ids).difference(requested),
        sector__miner__tenant_id=worker.tenant_id,
    )
    for job in left.select_related("sector__miner"):
        if job.sector is not None:
            _removal(worker, job=job, sector=job.sector, actor="console")


def ended_jobs_find(worker: Worker, *, job_ids: Collection[str]) -> tuple[str, ...]:
    """Return which of the jobs that a host has parked it will never have again.

    They ended where a copy of its disk ran, or before the state that its disk has come back to.  Those whose
    files it is told to remove keep their record until it has.
    """
    if not job_ids or sectors_recovery() is not None:
        return ()
    requested = worker.commands.filter(op=Operation.REMOVE, done_at=None).values_list("args__job", flat=True)
    has_other_host = Q(sticky_worker__isnull=False) & ~Q(sticky_worker=worker)
    rows = Job.objects.filter(
        Q(state__in=(JobState.DONE, JobState.FAILED)) | has_other_host,
        uuid__in={job_id for job_id in job_ids if is_uuid(job_id)}.difference(requested),
        miner__tenant_id=worker.tenant_id,
    )
    return tuple(map(str, rows.order_by("pk").values_list("uuid", flat=True)))


def unknown_jobs_find(worker: Worker, *, job_ids: Collection[str]) -> tuple[str, ...]:
    """Return which of the jobs that a host has parked its tenant never had: their files are nobody's here.

    The host keeps their records, in case that it only asked the wrong console.
    """
    if not job_ids or sectors_recovery() is not None:
        return ()
    rows = Job.objects.filter(uuid__in=filter(is_uuid, job_ids), miner__tenant_id=worker.tenant_id)
    return tuple(sorted(set(job_ids).difference(map(str, rows.values_list("uuid", flat=True)))))


def removals_note(worker: Worker, *, commands: Collection[str], now: datetime) -> None:
    """Note in the sectors' timelines which removals a host reports for the first time."""
    done = worker.commands.filter(uuid__in=commands, op=Operation.REMOVE, done_at=None)
    stores = dict(done.values_list("args__job", "args__store"))
    jobs = Job.objects.filter(uuid__in=list(stores))
    for job in jobs.select_related("sector__miner"):
        job_event_write(job, event=FILES_REMOVED, now=now, actor=worker.name, worker=worker)
        if job.sector is not None:
            copies_forget(job.sector.pk, store_name=stores[str(job.uuid)] or "")
            publish(Change("sector", str(job.sector.uuid), job.sector.miner.tenant_id))


def _removal(
    worker: Worker, *, job: Job, sector: Sector, actor: str, keeps_store: bool = False
) -> WorkerCommand:
    miner_id = str(sector.miner.actor_id)
    args = {"job": str(job.uuid), "miner_id": miner_id, "number": str(sector.number)}
    args |= {"keeps_store": "yes"} if keeps_store else {"store": sector.store} if sector.store else {}
    publish(Change("worker", worker.pk, worker.tenant_id))
    return WorkerCommand.objects.create(worker=worker, op=Operation.REMOVE, args=args, actor=actor)
