"""Which job over a proven sector a damocles-worker is leased when it asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from apps.damocles.services.hosts import damocles_host_choose, damocles_plan_note
from apps.damocles.services.job_locks import FIRST_STAGES
from apps.damocles.services.sectors import INTERACTIVE, AllocateSpec
from apps.sectors.models import DamoclesJob, DamoclesSector, Job, Sector, Worker
from apps.sectors.selectors.claim_rules import URGENCY, free_filter
from apps.sectors.selectors.damocles_hosts import damocles_jobs_in_hand
from apps.sectors.selectors.restored import must_register
from apps.sectors.services.jobs.claims import jobs_claim
from apps.users.rules.principals import Principal
from poolsite.wire.job_inputs import SealInputs
from poolsite.wire.jobs import Claim, JobKind

CONSIDERED_MAX: Final = 1_000
"""Jobs that one call looks at, the most urgent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatedJob:
    """A job that was leased to a worker, and what it is about."""

    job: Job
    sector: Sector
    inputs: SealInputs


def job_allocate(
    principal: Principal, *, spec: AllocateSpec, kind: JobKind, now: datetime
) -> AllocatedJob | None:
    """Lease the most urgent waiting job of a kind to the worker that asks; None while there is none.

    An updated sector is unsealed by the pool's own hosts: a worker reads the replica before the update.
    If the answer was lost the job is free for any host once the lease is over.  Raises WorkerRetired.
    """
    worker = damocles_host_choose(principal, now=now)
    if worker is None or must_register(worker):
        return None
    damocles_plan_note(worker, kind=kind, now=now)
    for job, sector in _waiting(principal, spec, kind=kind, now=now):
        offered = list(job.offered_to or [])
        if worker.pk not in offered:
            same = Job.objects.filter(pk=job.pk, offered_to=offered, lease_token=job.lease_token)
            same.update(offered_to=[*offered, worker.pk])
        if (allocated := _claim(job, sector, worker=worker, kind=kind, now=now)) is not None:
            return allocated
    return None


def _waiting(
    principal: Principal, spec: AllocateSpec, *, kind: JobKind, now: datetime
) -> Iterator[tuple[Job, Sector]]:
    """Return the jobs that a worker may take, the most urgent first."""
    first = Q(kind=kind, stage=FIRST_STAGES[kind])
    rows = Job.objects.filter(free_filter(now), first, miner__tenant_id=principal.own_id)
    for miners in filter(None, (spec.miners, principal.miners)):
        rows = rows.filter(miner__actor_id__in=miners)
    started = damocles_jobs_in_hand().exclude(begun_at=None)
    jobs = list(rows.exclude(damocles__in=started).order_by(*URGENCY)[:CONSIDERED_MAX])
    sectors = Sector.objects.select_related("miner__tenant").exclude(ticket=None)
    sectors = sectors.filter(
        uuid__in=[job.inputs["sector"] for job in jobs],
        seal_proof__in=set(INTERACTIVE).intersection(spec.proof_types or INTERACTIVE),
    )
    if kind != JobKind.REBUILD:
        sectors = sectors.exclude(store="")
    if kind == JobKind.UNSEAL:
        sectors = sectors.filter(key_comm_r=None)
    sealing = DamoclesSector.objects.filter(finished_at=None).exclude(begun_at=None)
    known = {str(sector.uuid): sector for sector in sectors.exclude(damocles__in=sealing)}
    in_hand = damocles_jobs_in_hand().filter(sector__in=known.values())
    busy = dict(in_hand.values_list("sector_id", "job_id"))
    for job in jobs:
        sector = known.get(job.inputs["sector"])
        if sector is not None and busy.get(sector.pk, job.pk) == job.pk:
            yield job, sector


@transaction.atomic
def _claim(job: Job, sector: Sector, *, worker: Worker, kind: JobKind, now: datetime) -> AllocatedJob | None:
    claim = Claim(
        worker_id=str(worker.uuid),
        boot_id=worker.boot_id,
        kinds=(kind,),
        stages={FIRST_STAGES[kind]: 1},
        new_sectors=1,
    )
    for assignment in jobs_claim(worker, claim=claim, now=now, among=Q(pk=job.pk)).jobs:
        leased = Job.objects.get(pk=job.pk)
        DamoclesJob.objects.filter(job=leased).delete()
        DamoclesJob.objects.create(
            job=leased, sector=sector, worker=worker, token=assignment.token, named_at=now
        )
        if assignment.seal is not None:
            return AllocatedJob(job=leased, sector=sector, inputs=assignment.seal)
    return None
