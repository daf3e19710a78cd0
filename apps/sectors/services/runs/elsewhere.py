"""Snap-ups, rebuilds and unsealing that no host goes on with: begun again on those that can."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from django.db import transaction
from django.db.models import Q, QuerySet

from apps.core.live import Change, publish
from apps.core.reasons import refused
from apps.core.transitions import advance
from apps.sectors.errors.runs import NoHost, NotUnsealed
from apps.sectors.models import Job, PipelineRun, Worker
from apps.sectors.reasons import HOST_GONE
from apps.sectors.selectors.restored import lease_token_next
from apps.sectors.selectors.run_hosts import hosts_of_run
from apps.sectors.services.runs.steps import run_lock, run_move
from apps.sectors.services.runs.unsealing import unsealing_hosts_find
from apps.sectors.states import JobState
from poolsite.wire.jobs import RUN_KINDS, JobKind
from poolsite.wire.pipeline import BACK_TO, RUN_TRANSITIONS, UNSEAL_NEXT, RebuildState, SnapState, UnsealState

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Since then every host was heard."""
FIRST: Final = {JobKind.SNAP_UP: SnapState.PIECES_ASSIGNED, JobKind.REBUILD: RebuildState.LOST}


def missing_host_runs_follow(*, silent_since: datetime | None, now: datetime) -> int:
    """Begin again what only hosts out of service may do, and unsealing of an away one; gives how many.

    A host is away that was silent since then; None: no host is.  Of no use are hosts of another tenant, which
    had the miner before.
    """
    free = Job.objects.filter(kind__in=(*RUN_KINDS, JobKind.UNSEAL), state=JobState.READY)
    known = free.exclude(offered_to=None).values_list(
        "pk", "kind", "offered_to", "updated_at", "miner__tenant_id"
    )
    rows = list(known)
    since = NEVER if silent_since is None else silent_since
    offered = {key for _, _, keys, _, _ in rows for key in keys or ()}
    here = Worker.objects.filter(pk__in=offered, retired_at=None)
    active = set(here.values_list("pk", "tenant_id"))
    heard = set(here.filter(seen_at__gte=since).values_list("pk", "tenant_id"))
    count = 0
    for pk, kind, keys, freed_at, tenant_id in rows:
        hosts = {(key, tenant_id) for key in keys or ()}
        if kind != JobKind.UNSEAL:
            count += not active & hosts and _run_again(pk, now=now)
        elif not heard & hosts and freed_at < since:
            count += _unseal_again(pk, now=now, since=since)
    return count


def _named_anew(job: Job, hosts: list[int]) -> None:
    """Offer a job to hosts under another name: what the one before still reports of it is refused."""
    Job.objects.filter(pk=job.pk).update(
        uuid=uuid4(), offered_to=hosts, lease_token=lease_token_next(), not_before=None
    )


@transaction.atomic
def _run_again(job_id: int, *, now: datetime) -> bool:
    """Begin a run again; what is left to clear goes on with another host."""
    job, run = run_lock(PipelineRun.objects.values_list("pk", flat=True).get(job=job_id))
    if job.state != JobState.READY or run.paused_at is not None:
        return False
    try:
        is_clearing = run.state == SnapState.UPDATE_FINAL
        hosts = hosts_of_run(run.sector, kind=run.kind, is_clearing=is_clearing)
    except NoHost:  # the next heads search for hosts again
        return False
    _named_anew(job, hosts)
    back = f"{BACK_TO}{FIRST[JobKind(run.kind)]}"
    if back in RUN_TRANSITIONS[run.state]:
        run_move(run, event=back, job=job, now=now, actor="console", note=HOST_GONE(), attempts=0)
    return True


@transaction.atomic
def _unseal_again(job_id: int, *, now: datetime, since: datetime) -> bool:
    """Unseal a piece again on a host that is heard, or end the job where none has the store."""
    job = _locked_free(Job.objects.filter(pk=job_id))
    if job is None:
        return False
    publish(Change("job", job.pk, job.miner.tenant_id))
    try:
        hosts = unsealing_hosts_find(job)
    except NotUnsealed as refusal:
        advance(job, "FAIL", error=refused(refusal), worker=None, lease_until=None, updated_at=now)
        return True
    is_heard = Worker.objects.filter(Q(seen_at__gte=since), pk__in=hosts).exists()
    if not is_heard and set(hosts) & set(job.offered_to or ()):
        return False  # the one that has begun may come back as soon as any other
    _named_anew(job, hosts)
    first = UNSEAL_NEXT[UnsealState.SEALED].stage
    advance(job, "FREE", stage=first, attempts=0, error="", worker=None, lease_until=None, updated_at=now)
    return True


def _locked_free(rows: QuerySet[Job]) -> Job | None:
    free = rows.select_for_update(of=("self",)).select_related("miner").filter(state=JobState.READY)
    return free.first()
